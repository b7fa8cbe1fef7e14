"""Which input varies the image: shares of its variance by y, z_{N-1}, …, z_0.

The law of total variance, applied down the stack:

    Var(x) = Var(E[x|y]) + E Var(E[x|y, z_{N-1}] | y) + … + E Var(x | all but z_0)

x is an image, and variances are summed over its pixels. The terms are the components of a balanced
nested analysis of variance (Searle, Casella and McCulloch, Variance Components, 1992, chapter 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor


@dataclass(frozen=True)
class VarianceShares:
    """shares of y, z_{N-1}, …, z_0 in this order, summing to 1; `total` variance over all pixels.

    The estimator is unbiased, so the share of an input that does nothing scatters about 0 and may
    be slightly negative.
    """

    names: tuple[str, ...]
    shares: tuple[float, ...]
    total: float


def variance_shares(images: Iterable[Tensor], *, all_classes: bool = True) -> VarianceShares:
    """Shares from a balanced hierarchy of samples, of which one label's at a time are looked at.

    images: of K labels in turn, float [n_{N-1}, …, n_0, C, H, W]; n_{N-1} draws of z_{N-1} below
    the label, below each of those n_{N-2} fresh draws of the next z, and so on; every size >= 2.
    Mean squares MS_j (j = 0 for y) of the nested analysis give component_j = (MS_j - MS_{j+1}) /
    (draws below one node of level j). With all_classes the K labels are the whole set under a
    uniform prior, not a sample of it, hence a factor (K - 1) / K for y.
    Raises ValueError for sizes below 2 or images that do not vary.
    """
    return flat_hierarchy(map(_flat, images), all_classes=all_classes)


def _flat(images: Tensor) -> Tensor:
    if images.ndim < 4:
        raise ValueError(
            f"expected [n, …, C, H, W] of each label, with one z or more, got {list(images.shape)}"
        )
    return images.flatten(-3)


def flat_hierarchy(values: Iterable[Tensor], *, all_classes: bool = True) -> VarianceShares:
    """`variance_shares` for values [n_{N-1}, …, n_0, F] of each label, such as features in place
    of pixels."""
    sizes, squares = _mean_squares(values)
    components = []
    for level in range(len(sizes)):
        below = math.prod(sizes[level + 1 :])
        next_square = squares[level + 1] if level + 1 < len(sizes) else 0.0
        components.append((squares[level] - next_square) / below)
    if all_classes:
        components[0] *= (sizes[0] - 1) / sizes[0]
    total = sum(components)
    if not total > 0:
        raise ValueError("the images do not vary")
    count = len(sizes) - 1
    names = ("y", *(f"z_{count - 1 - index}" for index in range(count)))
    return VarianceShares(names, tuple(part / total for part in components), total)


def _mean_squares(values: Iterable[Tensor]) -> tuple[list[int], list[float]]:
    """K, n_{N-1}, …, n_0, and each level's mean square, summed over features: SS / degrees of
    freedom. What is kept of a label is its mean."""
    tops: list[Tensor] = []
    within: list[list[float]] = []
    inner: tuple[int, ...] = ()
    for own in values:
        inner, means = own.shape[:-1], [own.double()]
        for _ in inner:
            means.insert(0, means[0].mean(-2))
        tops.append(means[0])
        within.append([_deviation(above, below) for above, below in pairwise(means)])
    sizes = [len(tops), *inner]
    if len(sizes) < 2 or min(sizes) < 2:
        raise ValueError(f"every level needs two draws or more, got {sizes}")
    labels = torch.stack(tops)
    sums = [_deviation(labels.mean(0), labels), *map(math.fsum, zip(*within, strict=True))]
    squares = []
    for level, (size, summed) in enumerate(zip(sizes, sums, strict=True)):
        freedom = math.prod(sizes[:level]) * (size - 1)
        squares.append(summed * math.prod(sizes[level + 1 :]) / freedom)
    return sizes, squares


def _deviation(means: Tensor, values: Tensor) -> float:
    """Sum of squares of values [..., n, F] about their means [..., F]."""
    return float((values - means.unsqueeze(-2)).square().sum())


@dataclass(frozen=True)
class Hierarchy:
    """A balanced hierarchy of samples for `variance_shares`, made while it is read: iterating gives
    each label's images in turn, float [n_{N-1}, …, n_0, C, H, W].

    Attributes:
        shape: (K, n_{N-1}, …, n_0).
        sample: see `draw_hierarchy`.
        noise: the vectors of each z, top first, as many as there are nodes of its level.
        batch: images made at a time, of several labels where they have fewer.
    """

    shape: tuple[int, ...]
    sample: Callable[[Tensor, list[Tensor]], Tensor]
    noise: list[Tensor]
    batch: int

    def __iter__(self) -> Iterator[Tensor]:
        size, leaves = math.prod(self.shape[1:]), math.prod(self.shape)
        rest: list[Tensor] = []
        for leaf in torch.arange(leaves).split(self.batch):
            z = [own[leaf // (leaves // len(own))] for own in self.noise]
            pieces = torch.cat([*rest, self.sample(leaf // size, z).float()]).split(size)
            for own in pieces:
                if len(own) == size:
                    yield own.reshape(*self.shape[1:], *own.shape[1:])
            rest = [own for own in pieces if len(own) < size]


def draw_hierarchy(
    sample: Callable[[Tensor, list[Tensor]], Tensor],
    noise: Sequence[Callable[[int], Tensor]],
    num_classes: int,
    draws: Sequence[int],
    batch: int = 500,
) -> Hierarchy:
    """A balanced hierarchy whose noise is drawn here, and whose images are made as it is read.

    sample(y int64 [B], [z_{N-1}, …, z_0]) -> images [B, C, H, W]; noise[j](count) draws `count`
    vectors of the j-th z in the same order (top first); draws[j] is the number of fresh draws of it
    below each node above. num_classes x prod(draws) images are made, `batch` at a time.
    """
    if len(noise) != len(draws):
        raise ValueError(f"{len(noise)} noises and {len(draws)} numbers of draws")
    shape = (num_classes, *draws)
    drawn = [make(math.prod(shape[: level + 2])) for level, make in enumerate(noise)]
    return Hierarchy(shape, sample, drawn, batch)
