"""A seed's image: the same whatever it is drawn with, for every architecture."""

import pytest
import torch

from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.drawing import SEEDS, Drawer, seeds_from
from sgan.stack import Stack

GREY, COLOUR = ImageConfig(1, 28, 28, 10), ImageConfig(3, 32, 32, 10)
STACKS = {
    "mnist": (GREY, EncoderConfig(), (5, 7)),
    "one level": (GREY, EncoderConfig(cut=()), (5,)),
    "cifar10": (COLOUR, EncoderConfig("cifar10"), (4, 6)),
    "pyramid": (COLOUR, EncoderConfig("pyramid", ("conv3", "fc"), width=8), (3, 4, 5)),
}


def stack(image: ImageConfig, encoder: EncoderConfig, z_dims: tuple[int, ...]) -> Stack:
    """Random weights, large enough that images differ."""
    torch.manual_seed(3)
    built = Stack(StackConfig(image, encoder, tuple(LevelConfig(z_dim=z) for z in z_dims)))
    for parameter in built.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter)
    return built


@pytest.fixture(params=STACKS)
def drawer(request: pytest.FixtureRequest) -> Drawer:
    return Drawer(stack(*STACKS[request.param]))


def test_an_image_is_the_same_in_any_batch_and_place(drawer: Drawer) -> None:
    y, z = torch.arange(20) % 10, drawer.noise(range(20))
    together = drawer.images(y, z)
    assert together.dtype == torch.uint8
    assert (together[0] != together[10]).any(), "two seeds of one class"
    for rows in ([0], [7, 3], [19, *range(10)]):
        alone = drawer.images(y[rows], {i: v[rows] for i, v in z.items()})
        assert torch.equal(alone, together[rows])


def test_threads_do_not_matter(drawer: Drawer) -> None:
    y, z = torch.arange(12) % 10, drawer.noise(range(12))
    one = drawer.images(y, z)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert torch.equal(drawer.images(y, z), one)
    finally:
        torch.set_num_threads(before)


def test_one_image_is_that_of_the_stack_s_own_sampling() -> None:
    """Its noise is; single precision moves a pixel by one at most."""
    own = stack(*STACKS["mnist"]).eval()
    plain = own.sample_uint8(torch.tensor([3]), generator=torch.Generator().manual_seed(9))
    drawer = Drawer(own)
    ours = drawer.images(torch.tensor([3]), drawer.noise([9]))
    assert (ours.int() - plain.int()).abs().max() <= 1


def test_noise_of_no_seed(drawer: Drawer) -> None:
    assert {i: tuple(v.shape) for i, v in drawer.noise([]).items()} == {
        i: (0, dim) for i, dim in drawer.z_dims.items()
    }
    images = drawer.images(torch.empty(0, dtype=torch.int64), drawer.noise([]))
    assert images.shape[0] == 0


def test_seeds_follow_each_other_and_wrap() -> None:
    assert seeds_from(5, 3) == [5, 6, 7]
    assert seeds_from(SEEDS - 1, 2) == [SEEDS - 1, 0]
