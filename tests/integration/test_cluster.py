"""Parts on real Ray clusters: lost workers, two nodes, too few cores, two workers for a part."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pipeline.cluster import connection, travel
from pipeline.errors import UserError
from pipeline.parts import running
from pipeline.parts.checkpoints import Checkpoints
from pipeline.storage.store import Storage
from sgan.training.comm import TorchComm

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]


def train(parts, on_report=lambda report: None, should_stop=lambda: False):
    """`running.train` on the cluster that is connected; returns (results, names as they ended)."""
    ended = []
    ready = running.preflight(parts, lambda text: None)
    results = running.train(ready, on_report, lambda name, _: ended.append(name), should_stop)
    return results, ended


def stopped_at_its_first_report(part):
    """Train until something is reported, then ask for a stop; returns (reports, when it was asked,
    monotonic seconds)."""
    seen, asked = [], []

    def should_stop():
        asked.extend([time.monotonic()] * (bool(seen) and not asked))
        return bool(seen)

    with pytest.raises(running.Stopped):
        train([part], seen.append, should_stop)
    return seen, asked[0]


def ray_tasks(name: str) -> list[psutil.Process]:
    """Worker processes that run a task of this name for a Ray that this process started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with _gone_is_fine():
            if process.cmdline()[:1] == [f"ray::{name}"]:
                found.append(process)
    return found


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except psutil.Error:
        pass


def training() -> list[psutil.Process]:
    """Worker processes of Ray Train that this process started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with _gone_is_fine():
            if "RayTrainWorker" in " ".join(process.cmdline()):
                found.append(process)
    return found


class Witness(TorchComm):
    """Keeps the weights that rank 0 gave to every rank before the first step."""

    def broadcast_(self, tensors):
        self.weights = list(tensors)
        super().broadcast_(self.weights)


def one_rank(config):
    """What `running._one_of_many` does, which then leaves its weights in the folder `sender`."""
    import torch
    from ray.train.torch import get_device

    from pipeline.parts.worker import train_part

    comm = Witness(get_device())
    train_part(config["part"], lambda *report: None, comm=comm)
    torch.save([w.clone() for w in comm.weights], f"{config['sender']}/rank{comm.rank}.pt")


@pytest.mark.usefixtures("two_cpus")
class TestOneMachine:
    def test_a_lost_worker_is_replaced_and_goes_on_from_its_checkpoint(self, make_part):
        """One is killed; the next is told that its machine ends, as a spot machine is."""
        total = 30_000
        part = make_part(1, total)
        folder = Path(part.placement.storage) / part.folder
        reports, lost, told = [], [], []

        def on_report(report):
            reports.append(report)
            steps = [int(path.stem.removeprefix("step-")) for path in folder.glob("step-*.pt")]
            seen = max(steps, default=0) * 50
            if not lost and seen >= total // 4:
                (process,) = ray_tasks(part.name)
                process.kill()
                process.wait(10)
                lost.append((time.time() * 1000, seen))
            elif lost and not told and seen >= total // 2:
                told.extend(ray_tasks(part.name))
                for process in told:
                    process.terminate()

        results, _ = train([part], on_report)
        ((lost_ms, kept),) = lost
        assert told
        # Half a second passes before a first report: from nothing it would tell of less.
        after = [report for report in reports if report.timestamp_ms > lost_ms]
        assert after[0].images_seen > kept
        assert after[-1].images_seen == results["level1"]["images_seen"] == total
        assert not results["level1"]["reused"]

    def test_parts_that_are_finished_are_not_trained_again(self, make_part):
        part = make_part(1, total_images=1000)
        first, _ = train([part])
        again, _ = train([part])
        assert (first["level1"]["reused"], again["level1"]["reused"]) == (False, True)
        assert again["level1"]["weights_sha256"] == first["level1"]["weights_sha256"]

    @pytest.mark.timeout(60)  # Ray itself would wait for the cores for ever
    def test_a_part_too_large_for_the_cluster_is_refused_at_once(self, make_part):
        with pytest.raises(UserError) as refused:
            train([make_part(1, total_images=1000, cpus=64.0)])
        assert str(refused.value) == (
            "level1 asks for 64 CPU and the largest node of the cluster has 2: lower "
            "runtime.cpus_per_worker, or add a larger node"
        )

    def test_parts_that_do_not_fit_together_wait_in_turn(self, make_part):
        said = []
        parts = [make_part(1, 1000, cpus=2.0), make_part(0, 100, cpus=2.0)]
        ready = running.preflight(parts, said.append)
        assert said == ["4 CPU asked for, 2 there: some parts will wait in turn"]
        results = running.train(ready, lambda report: None, lambda *_: None, lambda: False)
        assert {name: result["images_seen"] for name, result in results.items()} == {
            "level0": 100,
            "level1": 1000,
        }

    def test_a_failing_part_says_why_and_cancels_the_others(self, make_part, until):
        bad = make_part(1, total_images=1000, inputs={"data": "/nowhere", "encoder": "/nowhere"})
        good = make_part(0, total_images=500_000)
        with pytest.raises(UserError, match="/nowhere"):
            train([bad, good])
        until(lambda: not ray_tasks("level0"), 10, "the other part's worker is gone")

    def test_being_told_to_stop_ends_the_worker_once_it_has_saved(self, make_part, until):
        part = make_part(1, total_images=5_000_000, checkpoint_seconds=3600.0)
        checkpoints = Checkpoints(Storage(part.placement.storage), part.folder)
        seen, asked = stopped_at_its_first_report(part)
        assert time.monotonic() - asked < 10
        until(lambda: not ray_tasks("level1"), 1, "the worker is gone")
        assert checkpoints.newest() * 50 > seen[0].images_seen
        assert checkpoints.result() is None

    def test_two_workers_end_with_the_same_weights(self, make_part, tmp_path, monkeypatch):
        import torch
        from ray import cloudpickle

        from sgan.stack import Stack

        part = make_part(1, total_images=1000, workers=2)
        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        monkeypatch.setattr(running, "_one_of_many", one_rank)
        result = running._together(part, str(tmp_path), travel.packed())
        assert result["images_seen"] == 1000
        first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
        names = list(Stack(part.identity.config, (1,)).levels.state_dict())
        assert len(names) == len(first)
        apart = {
            name for name, a, b in zip(names, first, second, strict=True) if not torch.equal(a, b)
        }
        # Batch norm sees each rank's own half of a batch; everything that is learnt is one.
        assert {name.rsplit(".", 1)[1] for name in apart} <= {"running_mean", "running_var"}

    @pytest.mark.slow  # Ray Train starts for this alone
    def test_bad_input_ends_two_workers_at_once(self, make_part):
        part = make_part(1, 1000, workers=2, inputs={"data": "/nowhere", "encoder": "/nowhere"})
        with pytest.raises(UserError, match="/nowhere"):
            train([part])

    def test_being_told_to_stop_ends_both_workers_once_one_has_saved(self, make_part, until):
        part = make_part(1, total_images=5_000_000, workers=2, checkpoint_seconds=3600.0)
        seen, asked = stopped_at_its_first_report(part)
        until(lambda: not training(), 10, "both workers are gone")
        assert time.monotonic() - asked < 10
        kept = Checkpoints(Storage(part.placement.storage), part.folder).newest()
        assert kept * 50 > seen[0].images_seen


class TwoNodes:
    """A Ray cluster of two nodes with one CPU each, on this machine, and its processes."""

    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        # A folder of its own: in Ray's usual one it would leave its address for others to find.
        # A short path, which its sockets need.
        self.folder = Path(tempfile.mkdtemp(prefix="ray-"))
        self._nodes: list[subprocess.Popen] = []
        self._start(
            "--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={self.folder}"
        )
        self._start(f"--address={self.address}")

    def _start(self, *options: str) -> None:
        command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1"]
        command += ["--node-ip-address=127.0.0.1", "--disable-usage-stats", *options]
        with open(self.folder / f"node{len(self._nodes)}.log", "w") as log:
            node = subprocess.Popen(command, stdout=log, stderr=log, env=_without_address())
        self._nodes.append(node)

    def log(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("node*.log")))

    def tasks(self, node: int) -> set[str]:
        """Names of the tasks that worker processes of one node run now."""
        found = set()
        for process in psutil.Process(self._nodes[node].pid).children(recursive=True):
            with _gone_is_fine():
                found |= {line for line in process.cmdline()[:1] if line.startswith("ray::level")}
        return found

    def stop(self) -> None:
        """End exactly the processes below the two nodes."""
        tree = []
        for node in self._nodes:
            with _gone_is_fine():
                own = psutil.Process(node.pid)
                tree += [own, *own.children(recursive=True)]
        for process in tree:
            with _gone_is_fine():
                process.kill()
        psutil.wait_procs(tree, timeout=15)
        for node in self._nodes:
            node.wait(timeout=15)
        shutil.rmtree(self.folder)


def _without_address() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}


@pytest.fixture(scope="class")
def two_nodes(until):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    nodes = TwoNodes(port)
    try:
        until(lambda: nodes.log().count("Ray runtime started.") == 2, 90, "two nodes have started")
        yield nodes
    finally:
        nodes.stop()


@pytest.mark.xdist_group("a cluster")
class TestACluster:
    @pytest.mark.slow  # a cluster for this alone; test_nodes has one whose nodes share nothing
    def test_parts_train_on_both_nodes_of_the_cluster_at_ray_address(
        self, two_nodes, make_part, monkeypatch, until
    ):
        import ray

        monkeypatch.setenv("RAY_ADDRESS", two_nodes.address)
        parts = [make_part(0, total_images=1000), make_part(1, total_images=30_000)]
        busy = []

        def on_report(_):
            busy.append((two_nodes.tasks(0), two_nodes.tasks(1)))

        with connection.connected():
            until(lambda: ray.cluster_resources().get("CPU") == 2, 60, "two nodes with a CPU each")
            results, _ = train(parts, on_report)
            with pytest.raises(
                UserError, match="3 CPU and the largest node of the cluster has 1: lower"
            ):
                train([make_part(1, total_images=1000, cpus=3.0)])
        assert {name: result["images_seen"] for name, result in results.items()} == {
            "level0": 1000,
            "level1": 30_000,
        }
        names = [{"ray::level0"}, {"ray::level1"}]
        assert [*names] in [[*pair] for pair in busy] or [*names[::-1]] in [[*p] for p in busy]

    @pytest.mark.parametrize(
        ("address", "message"),
        [
            ("127.0.0.1:1", r"RAY_ADDRESS=127\.0\.0\.1:1 does not answer \(.*refused\)"),
            ("somewhere", r"RAY_ADDRESS=somewhere: must be host:port"),
        ],
    )
    @pytest.mark.timeout(60)  # Ray itself would ask again for ever
    def test_an_address_of_no_cluster_is_refused_at_once(self, monkeypatch, address, message):
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(UserError, match=message), connection.connected():
            pytest.fail("connected")

    @pytest.mark.slow  # Ray asks again for 20 s
    def test_a_wrong_token_is_refused_in_one_line(self, two_nodes, monkeypatch):
        monkeypatch.setenv("RAY_ADDRESS", two_nodes.address)
        connect = "with connection.connected(): print('connected')"
        program = f"from pipeline.cluster import connection\n{connect}"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "RAY_AUTH_TOKEN": "0" * 64},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "connected" not in done.stdout
        assert "UserError: the Ray cluster at RAY_ADDRESS=" in done.stderr.splitlines()[-1]
