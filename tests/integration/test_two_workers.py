"""Two real processes over gloo: averages, equal weights, and agreement on control flow."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
WORKER = ROOT / "tests" / "gloo_worker.py"


def _run_workers(folder: Path) -> None:
    """Two processes of gloo_worker.py, which leave RANK.json in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, WORKER, str(rank), "2", folder / "meeting", folder / f"{rank}.json"],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=240)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def workers(once: Callable[..., Path]) -> list[dict]:
    """What each of two workers saw, by scenario."""
    folder = once("gloo workers", _run_workers)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def joined(first: list, second: list) -> torch.Tensor:
    """Rows of the whole batch, of which each worker has every second one."""
    pair = torch.stack([torch.tensor(first), torch.tensor(second)], dim=1)
    return pair.flatten(0, 1)


@pytest.mark.parametrize("shape", ["1d", "2d"])
def test_batch_norm_over_two_is_that_of_the_whole_batch(workers: list[dict], shape: str) -> None:
    """In float64."""
    first, second = (w["norm"][shape] for w in workers)
    whole = workers[0]["norm"][f"{shape} whole"]
    for name in ("y", "x", "eval"):  # `x`: gradients, through those of R1
        both = joined(first[name], second[name])
        torch.testing.assert_close(both, torch.tensor(whole[name]), rtol=1e-9, atol=1e-9)
    for name in ("affine", "running", "loss"):
        assert first[name] == second[name]
        one, expected = torch.tensor(first[name]), torch.tensor(whole[name])
        torch.testing.assert_close(one, expected, rtol=1e-9, atol=1e-9)
    assert first["names"] == whole["names"]


def test_means_sums_broadcasts_and_numbers(workers: list[dict]) -> None:
    first, second = (w["exchange"] for w in workers)
    assert first == second
    assert first["conv"] == (torch.arange(24.0).view(2, 3, 2, 2) * 3).tolist()
    assert first["channels_last"]
    assert first["weight"] == [[1.0] * 2] * 2
    assert first["bias"]  # has no gradient
    assert first["terms"] == {"a": pytest.approx(0.6, abs=1e-7), "b": 0.5}
    assert first["summed"] == [3.0, 3.0]  # 1 of rank 0, 2 of rank 1
    assert first["number"] == pytest.approx(0.6, abs=1e-12)
    assert first["w"] == [7.0] * 3 and first["n"] == 3


def test_workers_keep_equal_weights_and_take_the_same_number_of_g_steps(workers) -> None:
    first, second = (w["train"] for w in workers)
    assert first["start"] != second["start"]
    assert first["broadcast"] == second["broadcast"]
    for mine, other in zip(first["rows"], second["rows"], strict=True):
        assert len(mine) == len(other) == 4 and not set(mine) & set(other)
    assert {first["alone"], second["alone"]} == {1, 2}  # each by its own loss would differ
    assert first["steps"] == second["steps"]
    assert first["steps"].count("d") == 6 and first["steps"].startswith("dgd")
    assert first["end"] == second["end"] != first["broadcast"]
    assert first["average"] == second["average"]
    assert first["terms"] == second["terms"]  # of both shares


def test_sixty_steps_leave_the_same_bits_on_both(workers: list[dict]) -> None:
    first, second = (w["long"] for w in workers)
    assert first["steps"] == second["steps"]
    assert first["steps"].count("d") == 60
    assert "dgd" in first["steps"] and "dggd" in first["steps"]
    assert first["end"] == second["end"] != first["broadcast"]  # batch norm's statistics too
    assert (first["optimizers"], first["average"]) == (second["optimizers"], second["average"])


def test_gradients_are_those_of_one_process_with_the_same_batch(workers: list[dict]) -> None:
    for worker in workers:
        for case, seen in worker["gradients"].items():
            assert seen["tensors"] >= 10, case
            assert seen["apart"] < 1e-12, case
            assert seen["losses"] < 1e-6, case  # in float32


def test_gradients_that_travel_in_bfloat16_are_the_same_bits(workers: list[dict]) -> None:
    """They are gradients of bfloat16 copies of the weights, however many times D was asked."""
    first, second = (w["narrow"] for w in workers)
    assert first == second and first["wires"]
    assert first["end"][0] == first["end"][1]
    assert first["terms"][0] == first["terms"][1]
    sums = [pytest.approx(2 / 3, abs=1e-7)]
    assert first["small"] == {"weight": sums, "bias": sums}


def test_a_loss_that_is_not_finite_on_one_worker_stops_all(workers: list[dict]) -> None:
    first, second = (w["broken"] for w in workers)
    assert first["error"] == second["error"] == "level1/loss_d_adv is nan"
    assert first["steps"] == second["steps"]
    assert first["steps"].count("d") == 2
    assert first["end"] == second["end"]


def test_training_together_loads_nothing_of_the_compiler(workers: list[dict]) -> None:
    """0.7 s of a core in each rank."""
    assert [worker["compiler"] for worker in workers] == [False, False]
