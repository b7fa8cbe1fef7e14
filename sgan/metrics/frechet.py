"""Fréchet distance between Gaussians: per level between h_i and ĥ_i, and FID on a judge's features.

Dowson and Landau 1982; as a score of generators Heusel et al. 2017 (arXiv 1706.08500).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Mean [F] and unbiased covariance [F, F] (float64) of `count` feature vectors.

    root [count, F] with root^T root = covariance, where that is smaller than the covariance.
    """

    count: int
    mean: Tensor
    covariance: Tensor
    root: Tensor | None = None


def moments(features: Tensor) -> Moments:
    """Mean and covariance of features [N, ...] (flattened to [N, F]), N >= 2, in float64.

    Raises ValueError for fewer than two vectors or for a value that is not finite.
    """
    flat = features.reshape(len(features), -1).to(torch.float64)
    if len(flat) < 2:
        raise ValueError(f"moments need two feature vectors or more, got {len(flat)}")
    if not torch.isfinite(flat).all():
        raise ValueError("moments: the features hold a value that is not finite")
    mean = flat.mean(0)
    root = (flat - mean) / (len(flat) - 1) ** 0.5
    return Moments(len(flat), mean, root.T @ root, root if len(flat) < flat.shape[1] else None)


def frechet_distance(a: Moments, b: Moments) -> float:
    """|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a^1/2 S_b S_a^1/2)^1/2), never below 0.

    Only symmetric eigenproblems are solved, so covariances of deficient rank (fewer images than
    features) do no harm, and are quick.
    Raises ValueError where the two have different numbers of features.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"feature sizes differ: {len(a.mean)} and {len(b.mean)}")
    if a.root is None and b.root is not None:
        a, b = b, a
    root = a.root
    if root is None:
        values, vectors = torch.linalg.eigh(a.covariance)
        root = (vectors * values.clamp_min(0).sqrt()).T
    product = root @ b.covariance @ root.T
    cross = torch.linalg.eigvalsh((product + product.T) / 2).clamp_min(0).sqrt().sum()
    distance = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace()
    return max(0.0, float(distance - 2 * cross))


def level_distance(real: Tensor, sampled: Tensor) -> float:
    """Fréchet distance between the encoder's h_i and the stack's ĥ_i, both [N, ...].

    In units of the features' own variance: divided by tr(S_real), so that 0 is a perfect match,
    and levels of different widths and scales can be set side by side.
    """
    reference = moments(real)
    scale = float(reference.covariance.trace())
    if scale == 0:
        raise ValueError("the real features do not vary: no scale for a distance")
    return frechet_distance(reference, moments(sampled)) / scale
