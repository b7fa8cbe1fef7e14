"""A part with two workers, on two nodes that share no files, each with one core."""

import datetime
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.cluster.session import session
from pipeline.parts import running
from pipeline.parts.checkpoints import Checkpoints
from pipeline.parts.supplying import supplied
from pipeline.storage.store import Storage

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def one_rank(rank: int, part: Any, meeting: Path) -> None:
    """Trains a part as one of two processes, without Ray."""
    import torch
    from torch import distributed

    from pipeline.parts.worker import train_part
    from sgan.training.comm import TorchComm

    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{meeting}",
        rank=rank,
        world_size=2,
        timeout=datetime.timedelta(seconds=120),
    )
    train_part(part, lambda *report: None, comm=TorchComm(torch.device("cpu")))
    distributed.destroy_process_group()


@pytest.mark.slow  # Ray Train starts twice
def test_a_rank_is_killed_and_the_part_ends_with_the_bits_of_a_quiet_run(
    nodes_apart, make_part, monkeypatch, tmp_path
):
    """Checkpoints lie on the driver's disk, which no worker sees."""
    import torch

    for name, value in nodes_apart.environment().items():
        monkeypatch.setenv(name, value)
    part = make_part(1, 10_000, workers=2, batch_norm="synchronised", cpus=1.0)
    folder = Path(part.placement.storage) / part.folder
    seen, lost = [], []

    def on_report(report: Any) -> None:
        seen.append(report)
        ranks = {
            node.name: process
            for node in nodes_apart.nodes
            for process in node.named("ray::RayTrainWorker")
        }
        steps = [int(path.stem.removeprefix("step-")) for path in folder.glob("step-*.pt")]
        if not lost and steps:
            assert len(ranks) == 2  # on two nodes
            far = next(name for name in ranks if name != "head")
            ranks[far].kill()
            lost.append((time.time() * 1000, max(steps) * 50))

    with session(Storage(part.placement.storage), 2**30) as cluster:
        here = supplied(part, cluster.supply).placed(storage=cluster.storage)
        ready = running.preflight([here], lambda text: None)
        results = running.train(ready, on_report, lambda *_: None, lambda: False)
    ((lost_ms, kept),) = lost
    assert all(report.images_seen >= kept for report in seen if report.timestamp_ms > lost_ms)
    quiet = part.placed(storage=str(tmp_path / "quiet"))
    torch.multiprocessing.spawn(one_rank, (quiet, tmp_path / "meeting"), nprocs=2)
    expected = Checkpoints(Storage(tmp_path / "quiet"), part.folder).result()
    assert results["level1"]["weights_sha256"] == expected["weights_sha256"]
    assert results["level1"]["metrics"] == expected["metrics"]


@pytest.mark.slow  # all trainings twice
def test_every_part_with_two_ranks_on_two_nodes_and_on_one(project, nodes_apart, monkeypatch):
    """From E to joint training, by `dvc repro`: the same bits from nodes that share no files."""
    for section in ("encoder", "joint"):
        project.edit(**{section: {"workers": 2}})
    project.edit(levels={level: {"workers": 2} for level in ("0", "1")})
    project.commit("two ranks")
    here = project.copy(project.root.parent / "here")
    ran = ["encoder", "features", "levels", "joint"]
    assert here.repro("joint") == ran
    for name, value in nodes_apart.environment().items():
        monkeypatch.setenv(name, value)
    assert project.repro("joint") == ran
    assert project.records() == here.records()
    assert project.digests() == here.digests()
