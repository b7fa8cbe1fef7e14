"""One worker alone exchanges nothing. Two: tests/integration/test_two_workers.py."""

import torch

from sgan.training.comm import Comm, TorchComm


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
