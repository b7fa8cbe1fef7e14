"""Variance shares against the components that a synthetic stack was built from."""

import math
import weakref
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from sgan.metrics.variance import Hierarchy, draw_hierarchy, flat_hierarchy, variance_shares

CLASSES = torch.tensor([-3.0, -1.0, 1.0, 3.0])  # population variance 5


def hierarchy(scales: tuple[float, float], draws: tuple[int, int] = (60, 60)) -> Hierarchy:
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
    assert images.shape == (2, 3, 4)
    assert torch.stack(list(images)).shape == (2, 3, 4, 1, 1, 1)
    rows = torch.cat(seen)
    assert rows[:, 1].tolist() == [float(i // 4) for i in range(24)]  # z_1 shared by 4 leaves
    assert rows[:, 2].tolist() == [float(i) for i in range(24)]  # z_0 fresh in every leaf


def test_the_mean_squares_are_those_of_the_whole_set_at_once() -> None:
    generator = torch.Generator().manual_seed(2)
    values = torch.randn(5, 3, 4, 2, 6, generator=generator) + torch.arange(5.0).view(5, 1, 1, 1, 1)
    sizes, means = values.shape[:-1], [values.double()]
    for _ in sizes:
        means.insert(0, means[0].mean(-2))
    squares = []
    for level, size in enumerate(sizes):
        deviation = means[level + 1] - means[level].unsqueeze(-2)
        freedom = math.prod(sizes[:level]) * (size - 1)
        below = math.prod(sizes[level + 1 :])
        squares.append(float(deviation.square().sum()) * below / freedom)
    parts = [
        (mine - under) / math.prod(sizes[level + 1 :])
        for level, (mine, under) in enumerate(zip(squares, [*squares[1:], 0.0], strict=True))
    ]
    found = flat_hierarchy(values, all_classes=False)
    assert found.total == pytest.approx(sum(parts), rel=1e-12)
    assert found.shares == pytest.approx([part / sum(parts) for part in parts], rel=1e-12)


def test_of_a_large_set_two_labels_are_held_at_most() -> None:
    made: list[weakref.ref[Tensor]] = []

    def labels() -> Iterator[Tensor]:
        for label in range(6):
            own = torch.randn(2, 3, 1, 4, 4) + label
            made.append(weakref.ref(own))
            assert sum(one() is not None for one in made) <= 2
            yield own

    assert variance_shares(labels()).shares[0] > 0.5
    assert len(made) == 6


@pytest.mark.parametrize("batch", [3, 8, 500])
def test_images_are_made_as_they_are_read_and_none_twice(batch: int) -> None:
    seen: list[int] = []

    def sample(y: Tensor, z: list[Tensor]) -> Tensor:
        assert len(y) <= batch
        seen.extend(z[1].flatten().int().tolist())
        return (10 * y[:, None] + z[0])[:, :, None, None]

    def noise(count: int) -> Tensor:
        return torch.arange(count).float()[:, None]

    images = draw_hierarchy(sample, [noise, noise], 4, (2, 2), batch=batch)
    assert seen == []
    first, *others = images
    assert first.flatten().tolist() == [0, 0, 1, 1] and first.shape == (2, 2, 1, 1, 1)
    assert [own[0, 0].item() for own in others] == [12, 24, 36]
    assert seen == list(range(16))
    seen.clear()
    next(iter(images))
    assert len(seen) == min(16, batch * math.ceil(4 / batch))


def test_refusals() -> None:
    with pytest.raises(ValueError, match="two draws or more"):
        flat_hierarchy(torch.zeros(4, 1, 2, 1))
    with pytest.raises(ValueError, match="do not vary"):
        flat_hierarchy(torch.zeros(4, 2, 2, 1))
    with pytest.raises(ValueError, match="with one z or more"):
        variance_shares(torch.zeros(4, 1, 8, 8))
    with pytest.raises(ValueError, match="numbers of draws"):
        draw_hierarchy(lambda y, z: y, [lambda count: torch.zeros(count)], 2, (2, 2))
