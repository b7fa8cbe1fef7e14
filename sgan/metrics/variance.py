"""Which input varies the image: shares of its variance by y, z_{N-1}, …, z_0.

The law of total variance, applied down the stack:

    Var(x) = Var(E[x|y]) + E Var(E[x|y, z_{N-1}] | y) + … + E Var(x | all but z_0)

x is an image, and variances are summed over its pixels. The terms are the components of a balanced
nested analysis of variance (Searle, Casella and McCulloch, Variance Components, 1992, chapter 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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


def variance_shares(images: Tensor, *, all_classes: bool = True) -> VarianceShares:
    """Shares from a balanced hierarchy of samples.

    images: float [K, n_{N-1}, …, n_0, C, H, W] with K labels; below each label n_{N-1} draws of
    z_{N-1}, below each of those n_{N-2} fresh draws of the next z, and so on; every size >= 2.
    Mean squares MS_j (j = 0 for y) of the nested analysis give component_j = (MS_j - MS_{j+1}) /
    (draws below one node of level j). With all_classes the K labels are the whole set under a
    uniform prior, not a sample of it, hence a factor (K - 1) / K for y.
    Raises ValueError for sizes below 2 or images that do not vary.
    """
    if images.ndim < 5:
        raise ValueError(
            f"expected [K, n, …, C, H, W] with one z or more, got {list(images.shape)}"
        )
    return flat_hierarchy(images.flatten(-3), all_classes=all_classes)


def flat_hierarchy(values: Tensor, *, all_classes: bool = True) -> VarianceShares:
    """`variance_shares` for values [K, n_{N-1}, …, n_0, F], such as features in place of pixels."""
    sizes = values.shape[:-1]
    if len(sizes) < 2 or min(sizes) < 2:
        raise ValueError(f"every level needs two draws or more, got {list(sizes)}")
    squares = _mean_squares(values.double(), sizes)
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


def _mean_squares(values: Tensor, sizes: Sequence[int]) -> list[float]:
    """Mean square of each level, summed over features: SS / degrees of freedom."""
    means = [values]
    for _ in sizes:
        means.insert(0, means[0].mean(-2))
    squares = []
    for level, size in enumerate(sizes):
        deviation = means[level + 1] - means[level].unsqueeze(-2)
        below = math.prod(sizes[level + 1 :])
        freedom = math.prod(sizes[:level]) * (size - 1)
        squares.append(float(deviation.square().sum()) * below / freedom)
    return squares


def draw_hierarchy(
    sample: Callable[[Tensor, list[Tensor]], Tensor],
    noise: Sequence[Callable[[int], Tensor]],
    num_classes: int,
    draws: Sequence[int],
    batch: int = 500,
) -> Tensor:
    """Sample a balanced hierarchy for `variance_shares`.

    sample(y int64 [B], [z_{N-1}, …, z_0]) -> images [B, C, H, W]; noise[j](count) draws `count`
    vectors of the j-th z in the same order (top first); draws[j] is the number of fresh draws of it
    below each node above. Returns float [num_classes, *draws, C, H, W]; num_classes x prod(draws)
    images are made, `batch` at a time.
    """
    if len(noise) != len(draws):
        raise ValueError(f"{len(noise)} noises and {len(draws)} numbers of draws")
    leaves = num_classes * math.prod(draws)
    labels = torch.arange(num_classes).repeat_interleave(leaves // num_classes)
    vectors, nodes = [], num_classes
    for make, count in zip(noise, draws, strict=True):
        nodes *= count
        vectors.append(make(nodes).repeat_interleave(leaves // nodes, dim=0))
    parts = [
        sample(labels[start : start + batch], [z[start : start + batch] for z in vectors]).float()
        for start in range(0, leaves, batch)
    ]
    images = torch.cat(parts)
    return images.reshape(num_classes, *draws, *images.shape[1:])
