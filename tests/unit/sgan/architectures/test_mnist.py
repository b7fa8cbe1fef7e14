"""The authors' MNIST nets."""

import pytest
import torch
from torch import nn

from sgan.architectures import mnist
from sgan.architectures.blocks import HeadConfig
from sgan.config import ImageConfig
from sgan.level import Level


def test_he_weights_keep_the_size_of_a_signal_that_normal_ones_shrink(make_config) -> None:
    sizes = {}
    for init in ("normal", "he"):
        torch.manual_seed(0)
        config = make_config("mnist", d_init=init)
        level = Level(config, 0, config.levels[0])
        d = level.discriminator
        sizes[init] = d.trunk(torch.randn(64, 1, 28, 28)).pow(2).mean().sqrt().item()
        for layer in d.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                assert not layer.bias.any()
    assert sizes["normal"] < 0.02
    assert 0.5 < sizes["he"] < 2.0
    std = d.trunk[4].weight.std().item()  # conv5 from 32 maps
    assert std == pytest.approx((2 / (1.04 * 32 * 25)) ** 0.5, rel=0.02)


def test_the_encoder_s_units_end_at_the_shapes_that_they_declare() -> None:
    image = ImageConfig(1, 28, 28, 10)
    h, shapes = torch.rand(2, *image.shape), mnist.point_shapes(image, width=8)
    for name, unit in mnist.encoder_units(image, width=8):
        h = unit(h)
        assert h.shape[1:] == shapes.get(name, (10,)), name


def test_g_1_reads_label_and_noise_side_by_side() -> None:
    """[y, z] -> 512: the authors' MNIST G_1 embeds neither."""
    g = mnist.feature_generator(target=256, cond=10, z_dim=50)
    assert g.body[0].in_features == 60
    assert list(g.embed_z.parameters()) == list(g.embed_cond.parameters()) == []


def test_d_0_halves_the_side_three_times() -> None:
    d = mnist.image_discriminator(HeadConfig(1, 50, True, noise=0.0, dropout=0.0))
    sides = []
    for layer in d.trunk:
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda m, i, out: sides.append(out.shape[-1]))
    logits, z = d(torch.rand(2, 1, 28, 28))
    assert sides == [14, 7, 4]
    assert (logits.shape, z.shape) == ((2, 1), (2, 50))
    assert 0 < z.min() and z.max() < 1
