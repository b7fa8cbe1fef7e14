"""Nets for any size and any cut of the encoder."""

import pytest
import torch
from torch import nn

from sgan.architectures import feature_shapes, pyramid
from sgan.architectures.blocks import HeadConfig
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack

SIZES = (28, 32, 36, 64, 72, 128)
CUTS = ((), ("fc",), ("conv2", "fc"), ("conv1", "conv3", "fc"), ("conv1", "conv2", "conv3", "fc"))


def pyramid_config(size: int, channels: int, cut: tuple[str, ...]) -> StackConfig:
    encoder = EncoderConfig(architecture="pyramid", cut=cut, width=4)
    image = ImageConfig(channels, size, size, 7)
    return StackConfig(image, encoder, (LevelConfig(z_dim=3),) * encoder.num_levels)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_pyramid_takes_any_size_with_the_paper_s_two_levels(
    size: int, channels: int, check_level
) -> None:
    config = pyramid_config(size, channels, ("fc",))
    check_level(config, 0)
    check_level(config, 1)


@pytest.mark.parametrize("cut", CUTS, ids=len)
@pytest.mark.parametrize("size", [28, 36, 72])
@torch.no_grad()
def test_pyramid_takes_any_cut(size: int, cut: tuple[str, ...], check_level) -> None:
    config = pyramid_config(size, 3, cut)
    stack = Stack(config).eval()
    assert stack.num_levels == len(cut) + 1
    hidden = stack.encoder.encode(torch.rand(2, 3, size, size))
    shapes = feature_shapes(config.image, config.encoder)
    assert [h.shape[1:] for h in hidden] == [torch.Size(s) for s in shapes]
    for index in range(len(cut) + 1):
        check_level(config, index)


def test_pyramid_feature_shapes_by_hand() -> None:
    """72: 36, 18, 9; channels width, 2 width, 4 width. 28: 14, 7, and 4 by rounding up."""
    cut = ("conv1", "conv2", "conv3", "fc")
    encoder = EncoderConfig(architecture="pyramid", cut=cut, width=8)
    at_72 = feature_shapes(ImageConfig(3, 72, 72, 5), encoder)
    at_28 = feature_shapes(ImageConfig(1, 28, 28, 5), encoder)
    assert at_72 == ((3, 72, 72), (8, 36, 36), (16, 18, 18), (32, 9, 9), (256,), (5,))
    assert at_28 == ((1, 28, 28), (8, 14, 14), (16, 7, 7), (32, 4, 4), (256,), (5,))


def test_sides_halve_and_round_up() -> None:
    assert pyramid._sides(28, 3) == [28, 14, 7, 4]
    assert pyramid._sides(36, 3) == [36, 18, 9, 5]
    assert pyramid._sides(1, 2) == [1, 1, 1]


@torch.no_grad()
def test_a_generator_climbs_through_the_encoder_s_sides() -> None:
    """From a vector: 4, then 7, 14, 28; from a map of 7: 14, 28."""
    for cond, expected in (((256,), [7, 14, 28]), ((8, 7, 7), [14, 28])):
        g = pyramid.generator((1, 28, 28), cond, z_dim=3, is_image=True)
        sides = [m.size[0] for m in g.body if isinstance(m, nn.Upsample)]
        assert sides == expected
        image = g(torch.rand(2, *cond), torch.rand(2, 3))
        assert image.shape == (2, 1, 28, 28)
        assert 0 <= image.min() and image.max() <= 1


@torch.no_grad()
def test_maps_take_noise_at_their_own_side() -> None:
    g = pyramid.generator((4, 14, 14), (8, 7, 7), z_dim=3, is_image=False)
    assert isinstance(g, pyramid.MapGenerator)
    assert g.embed_z(torch.rand(2, 3)).shape == (2, g.Z_CHANNELS, 7, 7)
    h = g(torch.rand(2, 8, 7, 7), torch.rand(2, 3))
    assert h.shape == (2, 4, 14, 14)
    assert h.min() >= 0  # features that E ends in a ReLU


@pytest.mark.parametrize(("side", "convolutions"), [(4, 1), (7, 1), (14, 2), (28, 3), (128, 5)])
@torch.no_grad()
def test_d_reaches_a_side_of_five_or_less(side: int, convolutions: int) -> None:
    d = pyramid.discriminator((3, side, side), HeadConfig(1, 5, False, noise=0.0, dropout=0.0))
    found = [m for m in d.trunk if isinstance(m, nn.Conv2d)]
    assert len(found) == convolutions
    logits, z = d(torch.rand(2, 3, side, side))
    assert (logits.shape, z.shape) == ((2, 1), (2, 5))
