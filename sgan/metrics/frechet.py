"""Fréchet distance between Gaussians: per level between h_i and ĥ_i, and FID on a judge's features.

Dowson and Landau 1982; as a score of generators Heusel et al. 2017 (arXiv 1706.08500).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Mean [F] and unbiased covariance S (float64) of `count` feature vectors.

    S is held as covariance [F, F], or as root [count, F] with root^T root = S where that is
    smaller: for a deep stack's maps S itself would take tens of gigabytes.
    """

    count: int
    mean: Tensor
    covariance: Tensor | None = None
    root: Tensor | None = None

    @property
    def trace(self) -> Tensor:
        """tr(S), a scalar."""
        if self.root is not None:
            return self.root.square().sum()
        assert self.covariance is not None
        return self.covariance.trace()


def moments(features: Tensor) -> Moments:
    """Mean and covariance of features [N, ...] (flattened to [N, F]), N >= 2, in float64.

    Raises ValueError for fewer than two vectors or for a value that is not finite.
    """
    flat = features.reshape(len(features), -1).cpu().to(torch.float64)  # not every device has it
    if len(flat) < 2:
        raise ValueError(f"moments need two feature vectors or more, got {len(flat)}")
    if not torch.isfinite(flat).all():
        raise ValueError("moments: the features hold a value that is not finite")
    mean = flat.mean(0)
    root = (flat - mean) / (len(flat) - 1) ** 0.5
    if len(flat) < flat.shape[1]:
        return Moments(len(flat), mean, root=root)
    return Moments(len(flat), mean, root.T @ root)


def frechet_distance(a: Moments, b: Moments) -> float:
    """|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a^1/2 S_b S_a^1/2)^1/2), never below 0.

    Only symmetric eigenproblems are solved, or the singular values of a matrix of images by
    images, so covariances of deficient rank (fewer images than features) do no harm, and are quick.
    Raises ValueError where the two have different numbers of features.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"feature sizes differ: {len(a.mean)} and {len(b.mean)}")
    if a.root is None and b.root is not None:
        a, b = b, a
    distance = (a.mean - b.mean).square().sum() + a.trace + b.trace
    return max(0.0, float(distance - 2 * _cross(a, b)))


def _cross(a: Moments, b: Moments) -> Tensor:
    """tr((S_a^1/2 S_b S_a^1/2)^1/2): the sum of the singular values of R_a R_b^T, of any R with
    R^T R = S. Where one of the two has a root, it is a."""
    if a.root is not None and b.root is not None:
        return torch.linalg.svdvals(a.root @ b.root.T).sum()
    root = a.root
    if root is None:
        assert a.covariance is not None
        values, vectors = torch.linalg.eigh(a.covariance)
        root = (vectors * values.clamp_min(0).sqrt()).T
    assert b.covariance is not None
    product = root @ b.covariance @ root.T
    return torch.linalg.eigvalsh((product + product.T) / 2).clamp_min(0).sqrt().sum()


def level_distance(real: Tensor, sampled: Tensor) -> float:
    """Fréchet distance between the encoder's h_i and the stack's ĥ_i, both [N, ...].

    In units of the features' own variance: divided by tr(S_real), so that 0 is a perfect match,
    and levels of different widths and scales can be set side by side.
    """
    reference = moments(real)
    scale = float(reference.trace)
    if scale == 0:
        raise ValueError("the real features do not vary: no scale for a distance")
    return frechet_distance(reference, moments(sampled)) / scale
