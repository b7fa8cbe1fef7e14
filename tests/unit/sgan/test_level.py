"""Level i: what it feeds its nets and what it takes off their output."""

import pytest
import torch
from torch import nn

from sgan.level import Level


@torch.no_grad()
def test_level_0_subtracts_the_mean_image(make_config) -> None:
    config = make_config("cifar10")
    level = Level(config, 0, config.levels[0]).eval()
    cond, z = torch.rand(2, 256), level.draw_z(2)
    plain = level.generate(cond, z)
    level.offset.fill_(0.25)
    torch.testing.assert_close(level.generate(cond, z), plain - 0.25)


def test_the_top_level_reads_an_index_as_its_one_hot_vector(make_config) -> None:
    config = make_config("mnist")
    top = Level(config, 1, config.levels[1]).eval()
    y, z = torch.tensor([3, 0]), top.draw_z(2)
    rows = torch.zeros(2, 10)
    rows[0, 3] = rows[1, 0] = 1
    torch.testing.assert_close(top.generate(y, z), top.generate(rows, z))
    assert not torch.equal(top.generate(torch.tensor([4, 0]), z)[0], top.generate(y, z)[0])


def test_spectral_norm_bounds_every_layer_of_d(make_config) -> None:
    torch.manual_seed(0)
    config = make_config("mnist", spectral_norm=True)
    level = Level(config, 1, config.levels[1])
    for _ in range(30):
        level.discriminator(torch.rand(4, 256))
    layers = [m for m in level.discriminator.modules() if isinstance(m, nn.Linear)]
    assert len(layers) == 4
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1.0, rel=0.05)


def test_z_is_uniform_and_repeats_with_its_generator(make_config) -> None:
    config = make_config("mnist", z_dim=40)
    level = Level(config, 0, config.levels[0])
    z = level.draw_z(500, torch.Generator().manual_seed(1))
    assert z.shape == (500, 40)
    assert 0 <= z.min() and z.max() < 1
    assert z.mean().item() == pytest.approx(0.5, abs=0.01)
    assert z.var().item() == pytest.approx(1 / 12, abs=0.003)
    assert torch.equal(z, level.draw_z(500, torch.Generator().manual_seed(1)))


def test_only_level_0_has_a_mean_image_and_only_the_last_is_the_top(make_config) -> None:
    config = make_config("mnist", ("conv2", "fc"))
    levels = [Level(config, i, config.levels[i]) for i in range(3)]
    assert [level.offset.shape for level in levels] == [(1, 28, 28), (), ()]
    assert [level.is_top for level in levels] == [False, False, True]


def test_a_level_in_the_middle_takes_features_as_they_are(make_config) -> None:
    """One-hot is for labels; the feature map of a level below the top is not to be touched."""
    config = make_config("mnist", ("conv2", "fc"))
    middle = Level(config, 1, config.levels[1]).eval()
    seen = []
    middle.generator.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    features = torch.rand(2, 256)
    middle.generate(features, middle.draw_z(2))
    assert seen[0] is features
