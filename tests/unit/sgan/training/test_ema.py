"""The moving average of G: its half-life, its ramp, its way through a checkpoint."""

import io

import pytest
import torch
from torch import nn

from sgan.training.ema import ExponentialAverage


def constant(value: float) -> nn.Linear:
    net = nn.Linear(2, 2, bias=False)
    nn.init.constant_(net.weight, value)
    return net


def test_a_weight_s_share_halves_in_a_half_life() -> None:
    """After the ramp (0.05 · images > half-life): start at 0, hold 1, read 1/2, then 3/4."""
    net = constant(0.0)
    average = ExponentialAverage(net, half_life_images=1000)
    average.images = 100_000
    nn.init.constant_(net.weight, 1.0)
    for _ in range(10):
        average.update(100)
    assert average.weights["weight"][0, 0].item() == pytest.approx(0.5, rel=1e-5)
    for _ in range(10):
        average.update(100)
    assert average.weights["weight"][0, 0].item() == pytest.approx(0.75, rel=1e-5)


def test_a_half_life_does_not_depend_on_the_batch_size() -> None:
    read = []
    for batch in (50, 250):
        net = constant(0.0)
        average = ExponentialAverage(net, half_life_images=1000)
        average.images = 100_000
        nn.init.constant_(net.weight, 1.0)
        for _ in range(1500 // batch):
            average.update(batch)
        read.append(average.weights["weight"][0, 0].item())
    assert read == pytest.approx([1 - 0.5**1.5] * 2, rel=1e-5)


def test_the_first_steps_forget_the_random_start() -> None:
    """Ramp: after the first step of 100 images the half-life is 0.05·100 + 100 = 105."""
    net = constant(0.0)
    average = ExponentialAverage(net, half_life_images=500_000)
    nn.init.constant_(net.weight, 1.0)
    average.update(100)
    assert average.weights["weight"][0, 0].item() == pytest.approx(1 - 0.5 ** (100 / 105))
    average.update(100)
    second = 0.5 ** (100 / 110)
    expected = 1 - second * 0.5 ** (100 / 105)
    assert average.weights["weight"][0, 0].item() == pytest.approx(expected)


def test_averages_do_not_touch_the_net_until_they_are_copied() -> None:
    net = constant(1.0)
    average = ExponentialAverage(net, 10)
    nn.init.constant_(net.weight, 3.0)
    average.update(10)
    assert net.weight[0, 0].item() == 3.0
    expected = average.weights["weight"].clone()
    assert 1.0 < expected[0, 0].item() < 3.0
    average.copy_to_net()
    assert torch.equal(net.weight.detach(), expected)
    assert net.weight.requires_grad


def test_buffers_are_not_averaged() -> None:
    average = ExponentialAverage(nn.BatchNorm1d(3), 10)
    assert set(average.weights) == {"weight", "bias"}


def test_a_checkpoint_restores_averages_and_the_ramp() -> None:
    net = constant(0.0)
    average = ExponentialAverage(net, 1000)
    nn.init.constant_(net.weight, 1.0)
    average.update(64)
    file = io.BytesIO()
    torch.save(average.state_dict(), file)
    file.seek(0)
    again = ExponentialAverage(constant(9.0), 1000)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert again.images == 64
    assert torch.equal(again.weights["weight"], average.weights["weight"])
