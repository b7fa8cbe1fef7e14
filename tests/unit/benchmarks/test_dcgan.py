"""The tutorial's nets: shapes, a step that learns, and samples that a seed decides."""

import pytest
import torch

from benchmarks.dcgan import DCGAN, NOISE, Settings
from sgan.config import ImageConfig

GREY = ImageConfig(1, 28, 28, 10)


@pytest.mark.parametrize("image", [GREY, ImageConfig(3, 32, 32, 10)])
def test_the_nets_take_and_give_images_of_the_data(image: ImageConfig) -> None:
    gan, y = DCGAN(image, 1), torch.arange(4)
    images = gan.g(torch.randn(4, NOISE), y)
    assert images.shape == (4, *image.shape)
    assert images.abs().max() <= 1
    assert gan.d(images, y).shape == (4,)


@pytest.mark.parametrize("head", ["map", "projection"])
def test_both_nets_see_the_label(head: str) -> None:
    settings = Settings(features=8, head=head)  # type: ignore[arg-type]
    gan, z = DCGAN(GREY, 1, settings), torch.randn(2, NOISE)
    gan.g.eval()
    gan.d.eval()
    twice = torch.cat([z[:1], z[:1]])
    images = gan.g(twice, torch.tensor([3, 5]))
    assert not torch.equal(images[0], images[1])
    same = torch.cat([images[:1], images[:1]])
    logits = gan.d(same, torch.tensor([3, 5]))
    assert logits[0] != logits[1]


def test_steps_change_both_nets_and_d_learns_to_tell() -> None:
    gan, y = DCGAN(GREY, 1), torch.arange(16) % 10
    real = torch.zeros(16, *GREY.shape)
    real[:, :, 10:18, 10:18] = 1.0
    before = [p.detach().clone() for p in (*gan.g.parameters(), *gan.d.parameters())]
    for _ in range(10):
        gan.step(real, y)
    after = [*gan.g.parameters(), *gan.d.parameters()]
    assert all(not torch.equal(a, b) for a, b in zip(after, before, strict=True))
    with torch.no_grad():
        told = gan.d(2 * real - 1, y).mean() - gan.d(torch.rand_like(real) - 0.5, y).mean()
    assert told > 0


def test_a_seed_decides_the_samples_and_labels_come_in_turn() -> None:
    gan, y = DCGAN(GREY, 1), torch.arange(12) % 10
    first, again, other = gan.sample(y, 1), gan.sample(y, 1), gan.sample(y, 2)
    assert first.shape == (12, 28, 28, 1) and first.dtype == torch.uint8
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert gan.g.training


def test_an_averaged_g_draws_what_g_was_over_the_last_steps() -> None:
    gan = DCGAN(GREY, 1, Settings(features=8, ema=0.5))
    x, y = torch.rand(4, *GREY.shape), torch.arange(4)
    assert gan.averaged is not None
    for _ in range(2):
        gan.step(x, y)
        averaged, own = (next(net.parameters()).detach().clone() for net in (gan.averaged, gan.g))
    assert not torch.equal(averaged, own)
    drawn = gan.sample(y, 1)
    with torch.no_grad():
        next(gan.g.parameters()).zero_()
    assert torch.equal(gan.sample(y, 1), drawn)
