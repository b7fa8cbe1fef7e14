"""The nets of every level fit each other, whichever architecture they come from."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from sgan.architectures import feature_shapes
from sgan.config import EncoderConfig, ImageConfig, StackConfig
from sgan.level import Level


@pytest.mark.parametrize("architecture", ["mnist", "svhn", "cifar10"])
@pytest.mark.parametrize("cut", [(), ("fc",), ("conv2", "fc"), ("conv1", "conv2", "fc")])
@torch.no_grad()
def test_fixed_architectures(
    architecture: str, cut: tuple[str, ...], make_config, check_level
) -> None:
    config = make_config(architecture, cut, d_objective="class_logits")
    for index in range(len(cut) + 1):
        check_level(config, index)


@pytest.mark.parametrize("architecture", ["mnist", "cifar10", "pyramid"])
@pytest.mark.parametrize("width", [0.1, 0.5, 1.5])
@torch.no_grad()
def test_a_width_scales_every_net_and_still_fits_its_neighbours(
    architecture: str, width: float, make_config, check_level
) -> None:
    cut = ("conv2", "fc")
    table = make_config(architecture, cut)
    scaled = make_config(architecture, cut, width=width)
    for index in range(3):
        check_level(scaled, index)
        nets = [Level(config, index, config.levels[index]) for config in (table, scaled)]
        for role in ("generator", "discriminator"):
            count, of_scaled = (
                sum(p.numel() for p in getattr(net, role).parameters()) for net in nets
            )
            assert (of_scaled < count) == (width < 1) and of_scaled != count, (index, role)


def test_feature_shapes_of_the_authors_encoders() -> None:
    cut = ("conv1", "conv2", "fc")
    mnist = EncoderConfig(architecture="mnist", cut=cut)
    cifar = EncoderConfig(architecture="cifar10", cut=cut)
    assert feature_shapes(ImageConfig(1, 28, 28, 10), mnist) == (
        (1, 28, 28),
        (32, 12, 12),
        (32, 4, 4),
        (256,),
        (10,),
    )
    assert feature_shapes(ImageConfig(3, 32, 32, 10), cifar)[1:4] == (
        (64, 14, 14),
        (128, 5, 5),
        (256,),
    )


@pytest.mark.parametrize(
    ("architecture", "sides"), [("mnist", [4, 8, 12, 24, 28]), ("cifar10", [5, 10, 14, 28, 32])]
)
@torch.no_grad()
def test_image_generators_grow_through_the_authors_sides(
    architecture: str, sides: list[int], make_config: Callable[..., StackConfig]
) -> None:
    config = make_config(architecture)
    level = Level(config, 0, config.levels[0])
    seen: list[int] = []
    for module in level.generator.modules():
        if isinstance(module, nn.Unflatten | nn.ConvTranspose2d):
            module.register_forward_hook(lambda m, i, out: seen.append(out.shape[-1]))
    level.generate(torch.rand(2, 256), level.draw_z(2))
    assert seen == sides


def test_features_from_g_are_never_negative_and_images_stay_in_the_unit_range(
    make_config, check_level
) -> None:
    config = make_config("cifar10")
    with torch.no_grad():
        features = check_level(config, 1, batch=16)
        image = check_level(config, 0, batch=4)
    assert features.min() >= 0 and (features > 0).any()
    assert image.min() > 0 and image.max() < 1


@pytest.mark.parametrize("architecture", ["mnist", "cifar10", "pyramid"])
def test_batch_norm_in_g_stands_before_the_activation_without_a_bias_before_it(
    architecture: str, make_config: Callable[..., StackConfig]
) -> None:
    """Decay 0.9 is torch's momentum 0.1 (authors' nn.py: new = 0.9 old + 0.1 batch)."""
    cut = ("conv2", "fc") if architecture == "pyramid" else ("fc",)
    config = make_config(architecture, cut)
    norms = 0
    for index in range(len(cut) + 1):
        generator = Level(config, index, config.levels[index]).generator
        for chain in (m for m in generator.modules() if isinstance(m, nn.Sequential)):
            layers = list(chain)
            for at, layer in enumerate(layers):
                if not isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                    continue
                norms += 1
                assert layer.eps == 1e-6 and layer.momentum == 0.1 and layer.affine
                assert isinstance(layers[at + 1], nn.ReLU)
                assert layers[at - 1].bias is None
    assert norms >= 5


@pytest.mark.parametrize("architecture", ["mnist", "cifar10"])
def test_the_last_layer_of_g_has_a_bias_and_no_batch_norm(architecture: str, make_config) -> None:
    config = make_config(architecture)
    for index in (0, 1):
        last, activation = Level(config, index, config.levels[index]).generator.body[-2:]
        assert last.bias is not None
        assert isinstance(activation, nn.Sigmoid if index == 0 else nn.ReLU)


def test_ds_leaky_relu_has_slope_a_fifth(make_config) -> None:
    slopes = set()
    for architecture in ("mnist", "cifar10", "pyramid"):
        config = make_config(architecture)
        for index in (0, 1):
            trunk = Level(config, index, config.levels[index]).discriminator.trunk
            assert not any(isinstance(m, nn.ReLU) for m in trunk)
            slopes |= {m.negative_slope for m in trunk if isinstance(m, nn.LeakyReLU)}
    assert slopes == {0.2}


def test_weights_start_from_a_normal_of_two_hundredths_and_biases_from_zero(make_config) -> None:
    torch.manual_seed(0)
    config = make_config("cifar10")
    for index in (0, 1):
        level = Level(config, index, config.levels[index])
        for net in (level.generator, level.discriminator):
            for module in net.modules():
                if not isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                    continue
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.1)
                assert module.weight.mean().item() == pytest.approx(0.0, abs=2e-3)
                assert module.bias is None or not module.bias.any()


def test_how_d_starts_leaves_g_as_it_is(make_config) -> None:
    nets = []
    for init in ("normal", "he"):
        torch.manual_seed(0)
        config = make_config("mnist", d_init=init)
        nets.append(Level(config, 0, config.levels[0]).generator.state_dict())
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])


@pytest.mark.parametrize(
    ("architecture", "cut"), [("mnist", ("fc",)), ("cifar10", ("fc",)), ("pyramid", ("conv2",))]
)
@torch.no_grad()
def test_z_gain_multiplies_the_noise_beside_the_condition(architecture, cut, make_config) -> None:
    """The decoder's input: the condition as it was, z's embedding times the gain."""
    seen = {}
    for gain in (1.0, 5.0):
        torch.manual_seed(0)
        config = make_config(architecture, cut, z_gain=gain)
        level = Level(config, 0, config.levels[0])
        shape = feature_shapes(config.image, config.encoder)[1]
        level.generator.body.register_forward_pre_hook(
            lambda _, args, gain=gain: seen.__setitem__(gain, args[0])
        )
        level.generate(torch.rand(4, *shape), level.draw_z(4))
    kept = shape[0]
    torch.testing.assert_close(seen[5.0][:, :kept], seen[1.0][:, :kept])
    torch.testing.assert_close(seen[5.0][:, kept:], 5 * seen[1.0][:, kept:])
    assert seen[1.0][:, kept:].any()


@pytest.mark.parametrize("architecture", ["mnist", "cifar10", "pyramid"])
@torch.no_grad()
def test_d_is_noisy_in_training_and_deterministic_in_eval(architecture: str, make_config) -> None:
    torch.manual_seed(0)
    config = make_config(architecture, instance_noise=0.2, dropout=0.3)
    d = Level(config, 0, config.levels[0]).discriminator
    h = torch.rand(2, *config.image.shape)
    assert not torch.equal(d(h)[0], d(h)[0])
    d.eval()
    assert torch.equal(d(h)[0], d(h)[0])


@torch.no_grad()
def test_dropout_reaches_the_layers_of_d_0(make_config) -> None:
    for architecture, layers in (("cifar10", 2), ("mnist", 3), ("pyramid", 3)):
        config = make_config(architecture, dropout=0.3)
        trunk = Level(config, 0, config.levels[0]).discriminator.trunk
        assert [m.p for m in trunk if isinstance(m, nn.Dropout)] == [0.3] * layers
