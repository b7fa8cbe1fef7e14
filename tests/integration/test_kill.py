"""Killed in the middle: nothing is left running, and the next run goes on where this one was."""

import json
import multiprocessing
import os
import signal
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from pipeline.parts.worker import train_part
from pipeline.processes import is_alive
from tests.project import Project

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900), pytest.mark.alone]

BATCH = {"level0": 32, "level1": 100}
LEVELS = {"level0": 3000, "level1": 30_000}  # images; some 4 s and more on a core each


def tree(process: psutil.Process) -> list[psutil.Process]:
    """A process and everything below it."""
    return [process, *process.children(recursive=True)]


def test_a_killed_repro_leaves_nothing_running_and_is_continued(project, until):
    for name, total in LEVELS.items():
        project.edit(levels={name[-1]: {"total_images": total}})
    project.edit(runtime={"checkpoint_seconds": 0.5})
    before = {name: project.keys(name) for name in LEVELS}
    dvc = project.start("dvc", "repro", log="dvc.log")
    until(
        lambda: dvc.poll() is not None or all(len(project.checkpoint_steps(n)) > 1 for n in LEVELS),
        300,
        "two checkpoints of both levels, and so reports of them",
    )
    log = project.root / "dvc.log"
    assert dvc.poll() is None, log.read_text()
    started = tree(psutil.Process(dvc.pid))
    assert any("raylet" in process.name() for process in started), log.read_text()
    os.kill(dvc.pid, signal.SIGKILL)
    dvc.wait()
    until(
        lambda: not any(map(is_alive, started)) and not project.processes(),
        30,
        "nothing runs any more",
    )

    reached = {name: max(project.checkpoint_steps(name)) * BATCH[name] for name in LEVELS}
    assert all(0 < reached[name] < total for name, total in LEVELS.items())
    killed_ms = time.time() * 1000
    assert project.repro("levels") == ["levels"]
    for name, total in LEVELS.items():
        (key,) = project.keys(name) - before[name]
        result = json.loads((project.root / ".runs" / name / key / "result.json").read_text())
        assert result["images_seen"] == total
        seen = [row["images_seen"] for row in result["curve"]]
        assert seen[0] <= reached[name] < seen[-1] == total  # one curve over both trainings
        (run,) = project.runs(part=f"levels/{name}", part_key=key)
        assert run.info.status == "FINISHED"
        assert run.data.tags["sgan.resumed"] == "true"
        history = project.mlflow().get_metric_history(run.info.run_id, f"{name}/loss_d")
        assert [point.step for point in history] == seen  # each once, none goes back
        second = [point.step for point in history if point.timestamp > killed_ms]
        assert 0 < len(second) < len(history)  # both trainings logged some of them
        assert project.checkpoint_steps(name) == []
    statuses = {run.info.run_name: run.info.status for run in project.runs()}
    assert "RUNNING" not in statuses.values(), statuses
    assert project.repro("levels") == []


def test_a_stage_that_is_told_to_end_saves_a_checkpoint_and_says_so(project, until):
    project.edit(encoder={"total_images": 2_000_000})
    project.edit(runtime={"checkpoint_seconds": 2.5})
    stage = project.start("python", "-m", "pipeline", "encoder", log="stage.log")
    log = project.root / "stage.log"
    until(lambda: stage.poll() is not None or project.checkpoint_steps("encoder"), 90, "training")
    (saved,) = project.checkpoint_steps("encoder")
    time.sleep(0.5)  # some steps on, and long before the next checkpoint is due
    stage.terminate()
    assert stage.wait(30) == 143, log.read_text()
    kept = project.checkpoint_steps("encoder")[-1]
    assert kept > saved
    assert f"Stopped: encoder is kept at step {kept}." in log.read_text()
    assert "Traceback" not in log.read_text()
    assert not project.processes()
    (run,) = project.runs(
        stage="encoder",
        part_key=max(
            project.keys("encoder"),
            key=lambda key: (project.root / ".runs/encoder" / key).stat().st_mtime,
        ),
    )
    assert run.info.status == "KILLED"


def test_a_stage_that_does_not_train_ends_when_told_to(project, until):
    project.edit(evaluate={"num_samples": 20_000})
    stage = project.start("python", "-m", "pipeline", "evaluate", log="stage.log")
    log = project.root / "stage.log"
    until(lambda: "evaluate: 20,000 samples" in log.read_text(), 60, "evaluate is at work")
    stage.terminate()
    assert stage.wait(30) == 143, log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(("level", "total_images", "width"), [(0, 2000, 0.25), (1, 10_000, 1.0)])
def test_resumed_equals_uninterrupted(make_part, tmp_path, until, level, total_images, width):
    """Tensor for tensor: killed twice, on one thread of a CPU in float32."""
    from safetensors.torch import load_file

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", train_part.__module__])  # imported once, not thrice
    make = partial(make_part, level, total_images, width=width)
    whole = make(tmp_path / "whole")
    killed = make(tmp_path / "killed", checkpoint_seconds=0.05)
    train_part(whole, lambda *report: None)
    folder = Path(killed.placement.storage) / killed.folder

    def newest() -> int:
        steps = [int(path.stem.removeprefix("step-")) for path in folder.glob("step-*.pt")]
        return max(steps, default=0)

    starts = [0]
    for _ in range(2):
        process = context.Process(target=train_part, args=(killed, print))
        process.start()
        until(lambda start=starts[-1]: newest() > start, 60, "a newer checkpoint")
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        starts.append(newest())
    assert 0 < starts[1] < starts[2] < total_images // 50
    result = train_part(killed, lambda *report: None)
    assert not result["reused"]
    assert (
        result["curve"]
        == json.loads((Path(whole.placement.storage) / whole.folder / "result.json").read_text())[
            "curve"
        ]
    )
    one, other = (
        load_file(next((Path(part.placement.storage) / part.folder).glob("weights-*")))
        for part in (whole, killed)
    )
    assert one.keys() == other.keys()
    assert {name for name in one if not one[name].equal(other[name])} == set()


@pytest.mark.slow  # CIFAR-10's nets, twice
def test_cifar10_goes_on_over_evenings(tmp_path, until):
    """Encoder, levels and joint training, each killed once, end as if they had not been."""
    few = ["encoder.total_images=6000", "levels.0.total_images=1600", "joint.total_images=640"]
    few += ["levels.1.total_images=20000", "data.max_train=4000", "data.max_test=500"]
    few += ["runtime.checkpoint_seconds=1.0", "runtime.threads.encoder=1"]
    whole = Project.create(tmp_path / "whole")
    whole.sgan("compose", "data=cifar10", "budget=cpu", *few)
    whole.repro("prepare")
    killed = whole.copy(tmp_path / "killed")
    assert whole.repro("joint")[-1] == "joint"
    for part in ("encoder", "level0", "joint"):
        dvc = killed.start("dvc", "repro", "joint", log="dvc.log")
        log = killed.root / "dvc.log"
        until(
            lambda dvc=dvc, part=part: dvc.poll() is not None or killed.checkpoint_steps(part),
            400,
            f"a checkpoint of {part}",
        )
        assert dvc.poll() is None, log.read_text()
        dvc.kill()
        dvc.wait()
        until(lambda: not killed.processes(), 30, "nothing runs any more")
        assert killed.checkpoint_steps(part)
    assert killed.repro("joint")[-1] == "joint"
    assert killed.digests() == whole.digests()
