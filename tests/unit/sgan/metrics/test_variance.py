"""Variance shares against the components that a synthetic stack was built from."""

import pytest
import torch
from torch import Tensor

from sgan.metrics.variance import draw_hierarchy, flat_hierarchy, variance_shares

CLASSES = torch.tensor([-3.0, -1.0, 1.0, 3.0])  # population variance 5


def hierarchy(scales: tuple[float, float], draws: tuple[int, int] = (60, 60)) -> Tensor:
    """x = class + a z_1 + b z_0 in one pixel, z standard normal: variances 5, a^2, b^2."""
    generator = torch.Generator().manual_seed(0)

    def noise(count: int) -> Tensor:
        return torch.randn(count, 1, generator=generator)

    def sample(y: Tensor, z: list[Tensor]) -> Tensor:
        x = CLASSES[y][:, None] + scales[0] * z[0] + scales[1] * z[1]
        return x[:, :, None, None]

    return draw_hierarchy(sample, [noise, noise], 4, draws)


def test_the_known_components_come_back() -> None:
    found = variance_shares(hierarchy((2.0, 1.0)))
    assert found.names == ("y", "z_1", "z_0")
    assert sum(found.shares) == pytest.approx(1)
    assert found.shares == pytest.approx((0.5, 0.4, 0.1), abs=0.06)
    assert found.total == pytest.approx(10, rel=0.15)


def test_an_ignored_noise_has_a_share_of_nought() -> None:
    found = variance_shares(hierarchy((2.0, 0.0)))
    assert found.shares[2] == pytest.approx(0, abs=1e-6)
    ignored = variance_shares(hierarchy((0.0, 2.0)))
    assert ignored.shares[1] == pytest.approx(0, abs=0.01)  # not inflated by z_0 below it


def test_few_draws_are_unbiased() -> None:
    generator = torch.Generator().manual_seed(1)
    shares = []
    for _ in range(300):
        values = torch.randn(4, 3, 2, 1, generator=generator)  # only the last factor varies
        shares.append(flat_hierarchy(values).shares[0] * flat_hierarchy(values).total)
    assert sum(shares) / len(shares) == pytest.approx(0, abs=0.05)


def test_all_classes_or_a_sample_of_them() -> None:
    exact = CLASSES.reshape(4, 1, 1, 1).repeat(1, 2, 2, 1) + torch.tensor([[-1.0], [1.0]])
    assert flat_hierarchy(exact).total < flat_hierarchy(exact, all_classes=False).total


def test_shared_noise_below_is_drawn_afresh_for_each_node() -> None:
    seen: list[Tensor] = []

    def sample(y: Tensor, z: list[Tensor]) -> Tensor:
        seen.append(torch.cat([y[:, None].float(), *z], dim=1))
        return torch.zeros(len(y), 1, 1, 1)

    def noise(count: int) -> Tensor:
        return torch.arange(count).float()[:, None]

    images = draw_hierarchy(sample, [noise, noise], 2, (3, 4), batch=5)
    rows = torch.cat(seen)
    assert images.shape == (2, 3, 4, 1, 1, 1)
    assert rows[:, 1].tolist() == [float(i // 4) for i in range(24)]  # z_1 shared by 4 leaves
    assert rows[:, 2].tolist() == [float(i) for i in range(24)]  # z_0 fresh in every leaf


def test_refusals() -> None:
    with pytest.raises(ValueError, match="two draws or more"):
        flat_hierarchy(torch.zeros(4, 1, 2, 1))
    with pytest.raises(ValueError, match="do not vary"):
        flat_hierarchy(torch.zeros(4, 2, 2, 1))
    with pytest.raises(ValueError, match="with one z or more"):
        variance_shares(torch.zeros(4, 1, 8, 8))
    with pytest.raises(ValueError, match="numbers of draws"):
        draw_hierarchy(lambda y, z: y, [lambda count: torch.zeros(count)], 2, (2, 2))
