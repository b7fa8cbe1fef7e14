"""Shapes of every net and the layers that the paper's results rest on."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from sgan.architectures import feature_shapes
from sgan.architectures.blocks import InstanceNoise, deconv, dense, init_normal
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.level import Level
from sgan.stack import Stack

SIZES = (28, 32, 36, 64, 72, 128)
CUTS = ((), ("fc",), ("conv2", "fc"), ("conv1", "conv3", "fc"), ("conv1", "conv2", "conv3", "fc"))


def check_level(config: StackConfig, index: int, batch: int = 2) -> torch.Tensor:
    """Runs G_i, D_i, Q_i and E_i on the shapes that stand next to them; returns ĥ_i."""
    shapes = feature_shapes(config.image, config.encoder)
    level = Level(config, index, config.levels[index])
    if level.is_top:
        cond = torch.arange(batch) % config.image.num_classes
    else:
        cond = torch.rand(batch, *shapes[index + 1])
    h = level.generate(cond, level.draw_z(batch))
    assert h.shape == (batch, *shapes[index])
    logits, z = level.discriminator(h)
    per_image = 1 if config.levels[index].d_objective == "binary" else config.image.num_classes
    assert logits.shape == (batch, per_image)
    assert z.shape == (batch, config.levels[index].z_dim)
    return h


@pytest.mark.parametrize("architecture", ["mnist", "svhn", "cifar10"])
@pytest.mark.parametrize("cut", [(), ("fc",), ("conv2", "fc"), ("conv1", "conv2", "fc")])
@torch.no_grad()
def test_fixed_architectures(architecture: str, cut: tuple[str, ...], make_config) -> None:
    config = make_config(architecture, cut, d_objective="class_logits")
    for index in range(len(cut) + 1):
        check_level(config, index)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_pyramid_takes_any_size_with_the_paper_s_two_levels(size: int, channels: int) -> None:
    config = pyramid_config(size, channels, ("fc",))
    check_level(config, 0)
    check_level(config, 1)


@pytest.mark.parametrize("cut", CUTS, ids=len)
@pytest.mark.parametrize("size", [28, 36, 72])
@torch.no_grad()
def test_pyramid_takes_any_cut(size: int, cut: tuple[str, ...]) -> None:
    config = pyramid_config(size, 3, cut)
    stack = Stack(config).eval()
    assert stack.num_levels == len(cut) + 1
    hidden = stack.encoder.encode(torch.rand(2, 3, size, size))
    shapes = feature_shapes(config.image, config.encoder)
    assert [h.shape[1:] for h in hidden] == [torch.Size(s) for s in shapes]
    for index in range(len(cut) + 1):
        check_level(config, index)


def pyramid_config(size: int, channels: int, cut: tuple[str, ...]) -> StackConfig:
    encoder = EncoderConfig(architecture="pyramid", cut=cut, width=4)
    image = ImageConfig(channels, size, size, 7)
    return StackConfig(image, encoder, (LevelConfig(z_dim=3),) * encoder.num_levels)


def test_pyramid_feature_shapes_by_hand() -> None:
    """72: 36, 18, 9; channels width, 2 width, 4 width. 28: 14, 7, and 4 by rounding up."""
    cut = ("conv1", "conv2", "conv3", "fc")
    encoder = EncoderConfig(architecture="pyramid", cut=cut, width=8)
    at_72 = feature_shapes(ImageConfig(3, 72, 72, 5), encoder)
    at_28 = feature_shapes(ImageConfig(1, 28, 28, 5), encoder)
    assert at_72 == ((3, 72, 72), (8, 36, 36), (16, 18, 18), (32, 9, 9), (256,), (5,))
    assert at_28 == ((1, 28, 28), (8, 14, 14), (16, 7, 7), (32, 4, 4), (256,), (5,))


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


def test_features_from_g_are_never_negative_and_images_stay_in_the_unit_range(make_config) -> None:
    config = make_config("cifar10")
    with torch.no_grad():
        features = check_level(config, 1, batch=16)
        image = check_level(config, 0, batch=4)
    assert features.min() >= 0 and (features > 0).any()
    assert image.min() > 0 and image.max() < 1


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


def test_init_normal_takes_the_deviation_it_is_given() -> None:
    layer = nn.Linear(200, 200)
    assert init_normal(layer, 0.5) is layer
    assert layer.weight.std().item() == pytest.approx(0.5, rel=0.05)


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


@pytest.mark.parametrize(("stride", "side"), [(1, 11), (2, 14)])
def test_deconv_adds_four_or_doubles(stride: int, side: int) -> None:
    net = nn.Sequential(*deconv(3, 2, stride))
    assert net(torch.rand(2, 3, 7, 7)).shape == (2, 2, side, side)


def test_batch_norm_in_g_uses_the_batch_in_training_and_its_average_in_eval() -> None:
    net = nn.Sequential(*dense(4, 3))
    linear, norm = net[0], net[1]
    x = torch.randn(8, 4) * 3 + 1
    with torch.no_grad():
        pre = linear(x)
        expected = (pre - pre.mean(0)) / (pre.var(0, unbiased=False) + 1e-6).sqrt()
        torch.testing.assert_close(net(x), expected.clamp(min=0))
    torch.testing.assert_close(norm.running_mean, 0.1 * pre.mean(0))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * pre.var(0))
    net.eval()
    scaled = (pre - norm.running_mean) / (norm.running_var + 1e-6).sqrt()
    torch.testing.assert_close(net(x).detach(), scaled.clamp(min=0))


def test_instance_noise_adds_a_normal_in_training_only() -> None:
    torch.manual_seed(1)
    noise = InstanceNoise(0.2)
    added = noise(torch.zeros(40_000))
    assert added.std().item() == pytest.approx(0.2, rel=0.03)
    assert added.mean().item() == pytest.approx(0.0, abs=5e-3)
    h = torch.rand(5)
    assert noise.eval()(h) is h
    assert InstanceNoise(0.0).train()(h) is h


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


@torch.no_grad()
def test_q_ends_in_a_sigmoid_or_is_linear(make_config) -> None:
    h = torch.rand(3, 256)
    recovered = {}
    for output in ("sigmoid", "linear"):
        config = make_config("mnist", q_output=output)
        torch.manual_seed(0)
        recovered[output] = Level(config, 1, config.levels[1]).discriminator(50 * h)[1]
    torch.testing.assert_close(recovered["sigmoid"], torch.sigmoid(recovered["linear"]))
    assert recovered["linear"].min() < 0


def test_d_and_q_share_the_trunk_and_only_it(make_config) -> None:
    config = make_config("mnist")
    d = Level(config, 0, config.levels[0]).discriminator
    logits, z = d(torch.rand(2, 1, 28, 28))
    logits.sum().backward()
    assert all(p.grad is not None for p in d.trunk.parameters())
    assert all(p.grad is None for p in d.recovery.parameters())
    d.zero_grad()
    _, z = d(torch.rand(2, 1, 28, 28))
    z.sum().backward()
    assert all(p.grad is not None for p in d.trunk.parameters())
    assert all(p.grad is None for p in d.adversarial.parameters())


def test_cifar_d_0_pools_for_d_and_keeps_the_map_for_q(make_config) -> None:
    """Permuting the 36 places of the shared map leaves D's logits and changes Q's recovery."""
    torch.manual_seed(0)
    config = make_config("cifar10", d_objective="class_logits", q_output="linear")
    d = Level(config, 0, config.levels[0]).discriminator
    shared = torch.rand(2, 192, 6, 6)
    moved = shared.flatten(2)[:, :, torch.randperm(36)].view(2, 192, 6, 6)
    torch.testing.assert_close(d.adversarial(moved), d.adversarial(shared))
    assert (d.recovery(moved) - d.recovery(shared)).abs().max() > 1e-3


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
