"""How many bits of entropy z_i and y bring to what is generated, at least.

H(x) = H(y) + Σ_i H(h_i | h_{i+1}) (paper, section 3.2): G_i's share is what z_i brings, since a
deterministic G_i has no other source. Q_i bounds it from below: with z_i ~ U(0,1), whose
differential entropy is 0,

    I(ĥ_i; z_i | h_{i+1}) ≥ E[log2 Q_i(z_i | ĥ_i)].

L_ent_i is that bound for a Gaussian Q_i of fixed variance, without its constants. Here the variance
of each dimension is fitted, and the Gaussian is cut to (0, 1), where z_i lives: a Q_i that knows
nothing then is the uniform distribution and gives 0 bits.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SIGMAS = 10.0 ** torch.linspace(-3, 1, 81, dtype=torch.float64)


def noise_bits(recovered: Tensor, z: Tensor) -> Tensor:
    """The bound for each dimension of z_i in bits, float64 [z_dim] on the CPU; their sum is z_i's.

    The variances are fitted on every second row and the bound is taken on the others, so that it
    stays one: on noise that Q_i does not see it scatters about 0 and may be slightly negative.

    Args:
        recovered: μ_Q(ĥ_i), float [N, z_dim], N >= 4.
        z: the z_i that was drawn, float [N, z_dim] in [0, 1].

    Raises:
        ValueError: shapes that differ or fewer than four rows.
    """
    if recovered.shape != z.shape or z.ndim != 2 or len(z) < 4:
        raise ValueError(f"cannot bound the entropy of {list(z.shape)} by {list(recovered.shape)}")
    mean, truth = recovered.cpu().double(), z.cpu().double()
    fitted = torch.stack([_log2(mean[::2], truth[::2], sigma).mean(0) for sigma in _SIGMAS])
    best = _SIGMAS[fitted.argmax(0)]
    return _log2(mean[1::2], truth[1::2], best).mean(0)


def label_bits(logits: Tensor, y: Tensor) -> float:
    """The bound for y, drawn evenly from K classes: log2 K - E[-log2 p_E(y | x̂)], in bits.

    Args:
        logits: E's on samples, float [N, K].
        y: the labels asked for, int64 [N].
    """
    nats = torch.nn.functional.cross_entropy(logits.cpu().double(), y.cpu())
    return math.log2(logits.shape[1]) - float(nats) / math.log(2)


def _log2(mean: Tensor, z: Tensor, sigma: Tensor) -> Tensor:
    """log2 of the density at z of N(mean, sigma²) cut to (0, 1), elementwise; float64 [N, D]."""
    low, high = -mean / sigma, (1 - mean) / sigma
    # The mass between two points on one side of 0 is a difference of two tails: mirrored to the
    # left, where neither is rounded to 1.
    mirrored = low > 0
    a, b = torch.where(mirrored, -high, low), torch.where(mirrored, -low, high)
    left, right = torch.special.log_ndtr(a), torch.special.log_ndtr(b)
    mass = right + torch.log1p(-torch.exp(left - right))
    log = -0.5 * ((z - mean) / sigma).square() - torch.log(sigma * math.sqrt(2 * math.pi)) - mass
    return log / math.log(2)
