"""The entropy bound on cases whose answer is known."""

import math

import pytest
import torch
from torch import Tensor

from sgan.metrics.entropy import label_bits, noise_bits


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_noise_that_nobody_reads_brings_nothing() -> None:
    z = drawn(0, 20000, 8)
    assert noise_bits(torch.full_like(z, 0.5), z).sum() == pytest.approx(0, abs=0.01)
    assert noise_bits(drawn(1, 20000, 8), z).sum() == pytest.approx(0, abs=0.02)


def test_a_channel_of_known_capacity() -> None:
    """μ_Q = z seen through Gaussian noise far from the borders: -log2(σ sqrt(2πe)) bits each."""
    z = 0.3 + 0.4 * drawn(2, 40000, 3)
    for sigma in (0.02, 0.05):
        noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(3))
        found = noise_bits(z + sigma * noise, z)
        expected = -math.log2(sigma * math.sqrt(2 * math.pi * math.e))
        assert found.tolist() == pytest.approx([expected] * 3, abs=0.03)


def test_half_a_dimension_is_a_bit() -> None:
    """Q knows in which half z lies, and no more: one bit, of which a Gaussian sees most."""
    z = drawn(4, 40000, 1)
    found = float(noise_bits(0.25 + 0.5 * (z > 0.5).float(), z))
    assert 0.7 < found <= 1


def test_it_is_a_bound_even_where_q_is_sure_and_wrong() -> None:
    z = drawn(5, 5000, 2)
    assert noise_bits(1 - z, z).max() < 0.01
    assert torch.isfinite(noise_bits(50 * (z - 0.5), z)).all()


def test_a_variance_per_dimension() -> None:
    z = drawn(6, 20000, 2)
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(7))
    sharp, blind = noise_bits(torch.stack([z[:, 0] + 0.01 * noise[:, 0], drawn(8, 20000)], 1), z)
    assert sharp > 4 and abs(blind) < 0.01


def test_what_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="cannot bound"):
        noise_bits(torch.zeros(10, 2), torch.zeros(10, 3))
    with pytest.raises(ValueError, match="cannot bound"):
        noise_bits(torch.zeros(3, 2), torch.zeros(3, 2))


def test_labels() -> None:
    y = torch.arange(8).repeat(10)
    assert label_bits(torch.eye(8)[y] * 50, y) == pytest.approx(3)
    assert label_bits(torch.zeros(80, 8), y) == pytest.approx(0)
