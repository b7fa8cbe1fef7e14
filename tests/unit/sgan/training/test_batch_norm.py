"""Batch norm of one worker. Of two: tests/integration/test_two_workers.py."""

import pytest
import torch
from torch import nn

from sgan.training.batch_norm import SynchronisedBatchNorm, statistics_anew, synchronise
from sgan.training.comm import Comm


def test_each_norm_of_a_net_is_replaced_with_its_own_tensors() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.BatchNorm1d(3), nn.ReLU()))
    state = {name: tensor.data_ptr() for name, tensor in net.state_dict().items()}
    synchronise(net, Comm())
    assert isinstance(net[1][0], SynchronisedBatchNorm)
    assert {name: tensor.data_ptr() for name, tensor in net.state_dict().items()} == state
    assert list(net[1].children())[1:] == [net[1][1]]


@pytest.mark.parametrize("momentum", [0.1, None])
def test_alone_it_is_torchs_own(momentum: float | None) -> None:
    """In float32 and bfloat16, in training and after it."""
    torch.manual_seed(0)
    ours, torchs = (nn.Sequential(nn.BatchNorm2d(3, eps=1e-6, momentum=momentum)) for _ in "ab")
    synchronise(ours, Comm())
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(4, 3, 5, 5).to(dtype)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            mine, expected = ours(x), torchs(x)
        assert mine.dtype == expected.dtype == dtype
        torch.testing.assert_close(mine, expected)
    torch.testing.assert_close(ours.state_dict(), torchs.state_dict())
    torch.testing.assert_close(ours.eval()(x.float()), torchs.eval()(x.float()))


@pytest.mark.parametrize("several", [False, True])
def test_statistics_anew_are_the_mean_over_the_batches_within(several: bool) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm2d(3, momentum=0.3))
    if several:
        synchronise(net, Comm())
    net(torch.randn(8, 3, 2, 2) + 100)  # forgotten
    batches = [torch.randn(4, 3, 5, 5) * k + k for k in range(1, 4)]
    with statistics_anew([net]):
        assert not any(net(x).requires_grad for x in batches)
    means = torch.stack([x.mean((0, 2, 3)) for x in batches])
    variances = torch.stack([x.transpose(0, 1).flatten(1).var(1) for x in batches])
    torch.testing.assert_close(net[0].running_mean, means.mean(0))
    torch.testing.assert_close(net[0].running_var, variances.mean(0))
    assert net[0].momentum == 0.3


def test_a_batch_that_fails_leaves_the_momentum_as_it_was() -> None:
    net = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match="expected 2D or 3D"), statistics_anew([net]):
        net(torch.zeros(1, 3, 2, 2))
    assert net.momentum == 0.1
