"""What every architecture is made of, against values worked out by hand."""

import pytest
import torch
from torch import nn

from sgan.architectures.blocks import (
    ConditionedGenerator,
    HeadConfig,
    InstanceNoise,
    deconv,
    dense,
    dense_heads,
    init_he,
    init_normal,
)
from sgan.level import Level


def test_init_normal_takes_the_deviation_it_is_given() -> None:
    layer = nn.Linear(200, 200)
    assert init_normal(layer, 0.5) is layer
    assert layer.weight.std().item() == pytest.approx(0.5, rel=0.05)


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


def test_a_generator_embeds_the_noise_scales_it_and_puts_it_after_the_condition() -> None:
    double, half = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(double.weight, 2.0)
    nn.init.constant_(half.weight, 0.5)
    net = ConditionedGenerator(double, half, nn.Identity())
    net.z_gain = 10.0
    found = net(torch.tensor([[4.0]]), torch.tensor([[1.0]]))
    assert found.tolist() == [[2.0, 20.0]]


def test_heads_are_a_dense_layer_each_on_shared_units() -> None:
    heads = HeadConfig(logits=3, z_dim=2, q_sigmoid=True, noise=0.0, dropout=0.0)
    d = dense_heads(nn.Linear(4, 5), 5, heads)
    nn.init.constant_(d.recovery.bias, 100.0)
    logits, z = d(torch.zeros(1, 4))
    assert logits.tolist() == [[0.0, 0.0, 0.0]]  # biases begin at 0
    assert z.tolist() == [[1.0, 1.0]]  # the sigmoid of 100


def test_he_leaves_transposed_convolutions_and_batch_norm_alone() -> None:
    """Only D starts so, and D has neither a transposed convolution nor a scale to lose."""
    net = nn.Sequential(nn.ConvTranspose2d(2, 2, 3), nn.BatchNorm2d(2))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert init_he(net) is net
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
