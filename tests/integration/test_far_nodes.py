"""A driver and nodes that share no files: what travels, and what dies meanwhile."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ray

from pipeline.cluster import connection, nodes, room, travel
from pipeline.cluster.session import session
from pipeline.parts import running
from pipeline.parts.checkpoints import Checkpoints
from pipeline.parts.supplying import supplied
from pipeline.storage.store import Storage
from tests.cluster_rig import cluster, why_not

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(300),
    pytest.mark.skipif(why_not() != "", reason=why_not() or "-"),
]

SECRET = "sesame-0123456789"
HEAD_AWAY_S = 30  # 15 s without an answer, and the workers' saving


def looks(luggage):
    """What a task finds once it has unpacked."""
    luggage.unpack()
    import pipeline

    return os.environ["AWS_SECRET_ACCESS_KEY"], Path(pipeline.__file__).parent


@pytest.fixture(scope="module")
def far():
    """The driver's node, and one that shares nothing with it, which comes late."""
    with cluster(nodes=1, cpus=1) as started, pytest.MonkeyPatch.context() as patch:
        for name, value in started.environment().items():
            patch.setenv(name, value)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        started.add_node()
        yield started


def trained(part, on_report=lambda report: None, should_stop=lambda: False):
    """The part's result, from whichever node it was trained on."""
    said = []
    with session(Storage(part.placement.storage), 10**9) as here:
        (ready,) = running.preflight([part], said.append, 60.0)
        ready = supplied(ready, here.supply).placed(storage=here.storage)
        results = running.train([ready], on_report, lambda *_: None, should_stop)
    return results[part.name], said


def test_a_node_that_comes_late_is_waited_for(far):
    with connection.connected():
        said = []
        need = [room.Need("level0", {"CPU": 1.0}, 2)]
        room.wait_for(need, 60.0, said.append)
        assert len(room.nodes()) == 2
    assert said in (
        [],
        [
            "waiting up to 60 s for nodes: level0 asks for 2 workers with 1 CPU each "
            "and the cluster's nodes have room for 1"
        ],
    )


def test_code_and_environment_travel_and_no_secret_is_seen(far, monkeypatch):
    """Seen by every node that lives: one has died since the list of nodes was made."""
    from ray import cloudpickle

    def with_a_dead_one() -> list[dict]:
        living = listed()
        return [*living, {**living[0], "NodeID": "a" * 56}]

    listed = ray.nodes
    monkeypatch.setattr(ray, "nodes", with_a_dead_one)

    far.wait()
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with connection.connected():
        found = nodes.on_each_node(looks, travel.packed())
    assert [secret for secret, _ in found] == [SECRET, SECRET]
    own = Path(travel.__file__).parents[1]
    assert sorted(path == own for _, path in found) == [False, True]
    # Ray's logs, and what its state API is made of, lie in the session's folder of each node.
    folders = [str(node.path(far.folder)) for node in far.nodes]
    grep = subprocess.run(["grep", "-rl", SECRET, *folders], capture_output=True, text=True)
    assert grep.stdout == ""


@pytest.mark.slow  # a training on the far node
def test_a_killed_hub_ends_no_training(far, make_part):
    part, reports, killed = make_part(1, total_images=20_000), [], []

    def on_report(report):
        reports.append(report)
        if not killed:
            (hub,) = far.nodes[0].named("ray::MetricHub")
            killed.append(hub)
            hub.kill()

    result, _ = trained(part, on_report)
    assert killed
    assert result["images_seen"] == 20_000
    assert Checkpoints(Storage(part.placement.storage), part.folder).result()


@pytest.mark.slow  # 15 s until a head counts as dead
def test_a_head_that_dies_ends_the_stage_in_one_line(far, make_part):
    """The last test here: `ray start` ends the head's node, which is the driver's, with it."""
    part, killed = make_part(1, total_images=5_000_000), []

    def on_report(_):
        if not killed:
            (server,) = far.nodes[0].named("gcs_server")
            server.kill()
            killed.append(time.monotonic())

    with pytest.raises(connection.ClusterLost, match="has not answered for 15 s"):
        trained(part, on_report)
    assert time.monotonic() - killed[0] < HEAD_AWAY_S
    kept = Checkpoints(Storage(part.placement.storage), part.folder)
    assert kept.newest() > 0
    ray.shutdown()  # a stage's process would end here


@pytest.mark.slow  # three nodes, and 15 s until a head counts as dead
def test_a_head_on_another_machine_that_dies_ends_dvc_in_one_line(project, until):
    """What trained on a machine that is left has kept its checkpoints, and MLflow knows the end."""
    project.edit(
        levels={"0": {"total_images": 500_000}},
        runtime={"checkpoint_seconds": 1.0, "progress": "plain"},
    )
    log = project.root.parent / "repro.log"
    with cluster(nodes=3, cpus=1, driver="node") as nodes, open(log, "w") as out:
        head, own, _ = nodes.nodes
        command = own.here("dvc", "repro", "--single-item", "levels", cwd=project.root)
        environment = {**project.environment(), **nodes.environment()}
        repro = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        until(lambda: project.checkpoint_steps("level0"), 120, "level 0 keeps a checkpoint")
        head.kill()
        assert repro.wait(3 * HEAD_AWAY_S) != 0
    told = log.read_text()
    assert "Traceback" not in told, told
    (line,) = [line for line in told.splitlines() if line.startswith("error: ")]
    assert "has not answered for 15 s" in line
    assert project.checkpoint_steps("level0")
    assert {run.info.status for run in project.runs(stage="levels")} == {"FINISHED", "FAILED"}
