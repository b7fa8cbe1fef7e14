"""Which way z_i has to move to change the image most: what the page's sliders go along.

z_i is uniform in a cube of dozens of dimensions, none of which means anything alone. Seen through
the normal distribution, g = Φ⁻¹(z), it is N(0, 1) in every direction, and the image changes by J·u
for a step along a unit vector u. The leading eigenvectors of the mean of JᵀJ are the directions
that change it most, as in GANSpace and SeFa (arXiv 2004.02546, 2007.06600) but measured in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sgan.drawing import Drawer

SHOWN = 4
_POINTS = 6
_STEP = 0.5  # of a standard deviation: a visible change rather than a derivative
_SEED = 20161204
_ROWS = 32


@dataclass(frozen=True)
class Directions:
    """By level: `vectors` float64 [K, z_dim], orthonormal, the strongest first, and `shares`, how
    much of the squared change of all directions each makes up, 0 to 1."""

    vectors: dict[int, Tensor]
    shares: dict[int, list[float]]


def find_directions(drawer: Drawer) -> Directions:
    """The strongest directions of every level, at most `SHOWN`; the same in every process."""
    stack, seeds = drawer.stack, range(_SEED, _SEED + _POINTS)
    generator = torch.Generator().manual_seed(_SEED)
    y = torch.randint(stack.config.image.num_classes, (_POINTS,), generator=generator)
    z = drawer.noise(seeds)
    vectors, shares = {}, {}
    for level, dim in drawer.z_dims.items():
        gram = torch.zeros(dim, dim, dtype=torch.float64)
        for point in range(_POINTS):
            here = {i: v[point : point + 1] for i, v in z.items()}
            change = _changes(drawer, y[point : point + 1], here, level)
            gram += change @ change.T
        strength, found = torch.linalg.eigh(gram)
        kept = min(SHOWN, dim)
        vectors[level] = _oriented(found.flip(1)[:, :kept].T.contiguous())
        total = max(float(strength.clamp(min=0).sum()), 1e-300)
        shares[level] = [max(0.0, float(s)) / total for s in strength.flip(0)[:kept]]
    return Directions(vectors, shares)


def _changes(drawer: Drawer, y: Tensor, z: dict[int, Tensor], level: int) -> Tensor:
    """By how much the image changes with a step of each coordinate of z_level, [z_dim, C·H·W]."""
    dim = drawer.z_dims[level]
    # 2⁻²⁵ keeps a draw of exactly 0 from being -∞.
    g = torch.special.ndtri(z[level].clamp(2**-25, 1 - 2**-25))
    stepped = torch.cat([g, g + _STEP * torch.eye(dim, dtype=g.dtype)])
    moved = torch.special.ndtr(stepped)
    images = []
    for rows in moved.split(_ROWS):
        others = {i: v.expand(len(rows), -1) for i, v in z.items()}
        images.append(drawer.stack.sample_hidden(y.expand(len(rows)), others | {level: rows})[0])
    flat = torch.cat(images).flatten(1)
    return (flat[1:] - flat[:1]) / _STEP


def _oriented(vectors: Tensor) -> Tensor:
    """Each with its largest entry positive, since an eigenvector has no sign of its own."""
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return vectors * largest.sign()
