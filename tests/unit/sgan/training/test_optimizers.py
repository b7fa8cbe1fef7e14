"""Ours and torch's: the same bits, the same state, and torch._dynamo is not loaded for them."""

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from sgan.training import optimizers


def trained(kind: type[torch.optim.Adam], fused: bool) -> tuple[nn.Module, torch.optim.Adam]:
    """Six steps under a schedule, of which the last three go on from a state that was kept."""
    torch.manual_seed(0)
    net, x = nn.Linear(5, 3), torch.randn(4, 5)
    kept = None
    for _ in range(2):
        optimizer = kind(net.parameters(), 0.01, (0.5, 0.9), weight_decay=0.1, fused=fused)
        if kept is not None:
            optimizer.load_state_dict(kept)
        schedule = OneCycleLR(optimizer, 0.01, total_steps=3)
        for _ in range(3):
            net(x).square().sum().backward()
            assert optimizer.step(lambda: net(x).sum()).requires_grad
            optimizer.zero_grad()
            schedule.step()
        kept = optimizer.state_dict()
    return net, optimizer


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_the_same_bits_as_torchs(name: str, fused: bool) -> None:
    ours, own = trained(getattr(optimizers, name), fused)
    theirs, expected = trained(getattr(torch.optim, name), fused)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)
        for key, value in expected.state[b].items():
            assert torch.equal(own.state[a][key], value), key
    assert own.state_dict().keys() == expected.state_dict().keys()
    assert own.param_groups[0].keys() == expected.param_groups[0].keys()
