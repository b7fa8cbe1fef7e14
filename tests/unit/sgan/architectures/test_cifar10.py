"""The authors' CIFAR-10 nets."""

import pytest
import torch
from torch import nn

from sgan.architectures import cifar10
from sgan.architectures.blocks import HeadConfig, InstanceNoise
from sgan.config import ImageConfig
from sgan.level import Level


def test_cifar_d_0_pools_for_d_and_keeps_the_map_for_q(make_config) -> None:
    """Permuting the 36 places of the shared map leaves D's logits and changes Q's recovery."""
    torch.manual_seed(0)
    config = make_config("cifar10", d_objective="class_logits", q_output="linear")
    d = Level(config, 0, config.levels[0]).discriminator
    shared = torch.rand(2, 192, 6, 6)
    moved = shared.flatten(2)[:, :, torch.randperm(36)].view(2, 192, 6, 6)
    torch.testing.assert_close(d.adversarial(moved), d.adversarial(shared))
    assert (d.recovery(moved) - d.recovery(shared)).abs().max() > 1e-3


def test_the_encoder_s_units_end_at_the_shapes_that_they_declare() -> None:
    image = ImageConfig(3, 32, 32, 10)
    h, shapes = torch.rand(2, *image.shape), cifar10.point_shapes(image, width=8)
    for name, unit in cifar10.encoder_units(image, width=8):
        h = unit(h)
        assert h.shape[1:] == shapes.get(name, (10,)), name


def test_g_1_gives_noise_half_the_place_of_the_label() -> None:
    """z -> 256 and y -> 512, each through batch norm, before they meet."""
    g = cifar10.feature_generator(target=256, cond=10, z_dim=50)
    y, z = torch.eye(10)[:4], torch.rand(4, 50)
    assert (g.embed_cond(y).shape, g.embed_z(z).shape) == ((4, 512), (4, 256))
    assert g.body[0].in_features == 768


def test_d_1_is_noisy_in_three_places() -> None:
    """The input's noise is one setting, the hidden layers' another."""
    heads = HeadConfig(10, 50, False, noise=0.1, dropout=0.0, hidden_noise=0.3)
    trunk = cifar10.feature_discriminator(256, heads).trunk
    assert [m.sigma for m in trunk if isinstance(m, InstanceNoise)] == [0.1, 0.3, 0.3]


def test_d_without_batch_norm_sees_the_contrast_of_a_batch() -> None:
    """With it, a batch of fakes that are all pale looks as a batch of vivid ones does."""
    torch.manual_seed(1)
    pale = 0.05 * torch.randn(8, 3, 32, 32)
    maps = {}
    for norm in (True, False):
        heads = HeadConfig(1, 16, False, noise=0.0, dropout=0.0, width=0.5, batch_norm=norm)
        net = cifar10.image_discriminator(heads).train()
        assert any(isinstance(part, nn.BatchNorm2d) for part in net.modules()) == norm
        maps[norm] = [net.trunk(images).std().item() for images in (pale, 5 * pale)]
    assert maps[True][1] == pytest.approx(maps[True][0], rel=0.01)
    assert maps[False][1] == pytest.approx(5 * maps[False][0], rel=0.01)
    inner = cifar10.feature_discriminator(256, heads)
    assert not any(isinstance(part, nn.BatchNorm1d) for part in inner.modules())
