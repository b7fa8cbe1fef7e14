"""The layers at a grey image are torch's own, but for the time that they take."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from sgan.architectures.grey import FromGrey, ToGrey

PAIRS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module], tuple[int, ...]]] = {
    "to": (lambda: ToGrey(6, 5), lambda: nn.ConvTranspose2d(6, 1, 5), (3, 6, 8, 8)),
    "from": (lambda: FromGrey(6, 5), lambda: nn.Conv2d(1, 6, 5), (3, 1, 12, 12)),
    "from, by strides": (
        lambda: FromGrey(6, 5, 2, 2),
        lambda: nn.Conv2d(1, 6, 5, 2, 2),
        (3, 1, 12, 12),
    ),
    "from, unevenly": (
        lambda: FromGrey(6, 4, 3, 1),
        lambda: nn.Conv2d(1, 6, 4, 3, 1),
        (3, 1, 11, 11),
    ),
}


@pytest.fixture(params=list(PAIRS))
def pair(request: pytest.FixtureRequest) -> tuple[nn.Module, nn.Module, Tensor]:
    """Ours, torch's with the same weights, and something to put in, all in double precision."""
    torch.manual_seed(1)
    ours, theirs, shape = PAIRS[request.param]
    one, other = ours().double(), theirs().double()
    other.load_state_dict(one.state_dict())
    return one, other, torch.randn(shape, dtype=torch.float64, requires_grad=True)


def gradients(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """Of a sum of squares, and of the first one's square: as R1 takes them."""
    wanted = [x, *layer.parameters()]
    first = torch.autograd.grad(layer(x).square().sum(), wanted, create_graph=True)
    return [*first, *torch.autograd.grad(first[0].square().sum(), wanted[:2])]


def test_values_and_gradients_of_both_orders_are_torch_s(pair) -> None:
    ours, theirs, x = pair
    torch.testing.assert_close(ours(x), theirs(x))
    for one, other in zip(gradients(ours, x), gradients(theirs, x), strict=True):
        torch.testing.assert_close(one, other)
    assert ours.state_dict().keys() == theirs.state_dict().keys()


def test_a_frozen_layer_hands_its_gradient_on(pair) -> None:
    ours, _, x = pair
    found = [torch.autograd.grad(net.requires_grad_(False)(x).sum(), x)[0] for net in pair[:2]]
    torch.testing.assert_close(*found)
    assert not any(parameter.grad is not None for parameter in ours.parameters())


def test_autocast_reaches_the_product_and_not_the_sum(pair) -> None:
    ours, theirs, x = (each.float() for each in pair)
    with torch.autocast("cpu", torch.bfloat16):
        low, torch_s = ours(x), theirs(x)
    exact = theirs(x)
    assert low.dtype == (torch.float32 if isinstance(ours, ToGrey) else torch.bfloat16)
    error = [(each.float() - exact).abs().max().item() for each in (low, torch_s)]
    assert 0 < error[0] <= 1.5 * error[1]
    low.float().sum().backward()
    assert all(parameter.grad is not None for parameter in ours.parameters())


def test_a_graph_for_another_machine_holds_the_usual_operation(pair) -> None:
    ours, _, x = pair
    graph = str(torch.export.export(ours, (x.detach(),)).graph)
    assert "aten.conv" in graph and "col2im" not in graph
