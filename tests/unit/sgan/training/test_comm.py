"""Two real processes over gloo: averages, equal weights, and agreement on control flow."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sgan.training.comm import Comm

ROOT = Path(__file__).resolve().parents[4]
WORKER = Path(__file__).with_name("gloo_worker.py")


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What each of two workers saw, by scenario."""
    folder = tmp_path_factory.mktemp("workers")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    outs = [folder / f"{rank}.json" for rank in range(2)]
    processes = [
        subprocess.Popen(
            [sys.executable, WORKER, str(rank), "2", str(port), outs[rank]],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return [json.loads(out.read_text()) for out in outs]


def test_averages_broadcasts_and_numbers(workers: list[dict]) -> None:
    first, second = (w["average"] for w in workers)
    assert first == second
    assert first["a"] == [[0.5] * 3] * 2
    assert first["b"] == (torch.arange(24.0).view(1, 2, 3, 4) * 1.5).tolist()
    assert first["c"] == [5.0, 5.0]
    assert first["number"] == pytest.approx(0.6, abs=1e-12)
    assert first["w"] == [7.0] * 3 and first["n"] == 3


def test_workers_keep_equal_weights_and_take_the_same_number_of_g_steps(workers) -> None:
    first, second = (w["train"] for w in workers)
    assert first["start"] != second["start"]
    assert first["broadcast"] == second["broadcast"]
    for mine, other in zip(first["rows"], second["rows"], strict=True):
        assert len(mine) == len(other) == 4 and not set(mine) & set(other)
    assert {first["alone"], second["alone"]} == {1, 3}  # each by its own loss would differ
    assert first["steps"] == second["steps"]
    assert first["steps"].count("d") == 6 and first["steps"].startswith("dgd")
    assert first["end"] == second["end"] != first["broadcast"]
    assert first["average"] == second["average"]


def test_a_loss_that_is_not_finite_on_one_worker_stops_all(workers: list[dict]) -> None:
    first, second = (w["broken"] for w in workers)
    assert second["error"] == "level1/loss_d_adv is nan"
    assert first["error"] == "loss_d on another worker is nan"
    assert first["steps"] == second["steps"]
    assert first["steps"].count("d") == 2
    assert first["end"] == second["end"]


def test_one_worker_alone_exchanges_nothing() -> None:
    comm, tensor = Comm(), torch.tensor([1.0, 2.0])
    comm.average_([tensor, None])
    comm.broadcast_([tensor])
    comm.barrier()
    assert tensor.tolist() == [1.0, 2.0]
    assert comm.average_number(0.25) == 0.25
    assert (comm.rank, comm.world_size) == (0, 1)
