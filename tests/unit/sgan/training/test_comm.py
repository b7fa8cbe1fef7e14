"""Two real processes over gloo: averages, equal weights, and agreement on control flow."""

import pytest
import torch

from sgan.training.comm import Comm, TorchComm


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


def test_an_exchange_by_the_name_that_torch_had_for_it_before_2_13(monkeypatch) -> None:
    def gather(every: torch.Tensor, mine: torch.Tensor) -> None:
        every.copy_(mine.repeat(2))

    monkeypatch.delattr(torch.distributed, "all_gather_single", raising=False)
    monkeypatch.setattr(torch.distributed, "all_gather_into_tensor", gather)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    weight = torch.nn.Linear(64, 64, bias=False)
    weight.weight.grad = torch.full((64, 64), 0.5)
    comm = TorchComm(torch.device("cpu"))
    means = comm.average_gradients([weight], {"a": torch.tensor(3.0)}, torch.bfloat16)
    assert means["a"] == 3 and torch.equal(weight.weight.grad, torch.ones(64, 64))


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


def test_one_worker_alone_exchanges_nothing() -> None:
    comm, tensor = Comm(), torch.tensor([1.0, 2.0], requires_grad=True)
    net = torch.nn.Linear(2, 1)
    net(tensor).sum().backward()
    before = net.weight.grad.clone()
    terms = comm.average_gradients([net], {"loss": tensor[0]})
    assert terms == {"loss": 1.0} and not terms["loss"].requires_grad
    assert torch.equal(net.weight.grad, before)
    assert comm.sum_over_ranks(tensor) is tensor
    comm.broadcast_([tensor])
    comm.barrier()
    assert tensor.tolist() == [1.0, 2.0]
    assert comm.average_number(0.25) == 0.25
    assert (comm.rank, comm.world_size) == (0, 1)
