"""Nearest neighbours in features: precision, recall, density, coverage, and the memorisation gap.

Precision and recall: Kynkäänniemi et al. 2019 (arXiv 1904.06991). Density and coverage: Naeem et
al. 2020 (arXiv 2002.09797). Everything is chunked: memory stays at chunk x N floats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pipeline.errors import UserError
from pipeline.threads import side_by_side

CHUNK = 1024


@dataclass(frozen=True)
class Prdc:
    """Shares in 0..1, but density, which may exceed 1. Noise raises precision and density."""

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: np.ndarray, fake: np.ndarray, neighbours: int = 5) -> Prdc:
    """Precision, recall, density and coverage of fake [M, F] against real [N, F] features.

    A ball reaches from a point to its k-th nearest neighbour in its own set (k = `neighbours`,
    itself not counted). precision: fakes inside some real ball; recall: reals inside some fake
    ball; density: real balls that a fake lies in, over k; coverage: real balls with a fake inside.
    Raises UserError unless both sets have more than k points of the same width.
    """
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise UserError(f"prdc: features {list(real.shape)} and {list(fake.shape)} do not fit")
    if min(len(real), len(fake)) <= neighbours or neighbours < 1:
        raise UserError(
            f"prdc: {neighbours} neighbours need more than {neighbours} real and fake images, got "
            f"{len(real)} and {len(fake)}"
        )
    reals, fakes = _points(real), _points(fake)
    real_radius, fake_radius = _radii(reals, neighbours), _radii(fakes, neighbours)

    def counted(start: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        distances = torch.cdist(reals[start : start + CHUNK], fakes)
        inside = distances < real_radius[start : start + CHUNK, None]
        return inside.sum(0), inside.any(1), (distances < fake_radius).any(1)

    parts = side_by_side(counted, range(0, len(reals), CHUNK))
    balls, cover, found = zip(*parts, strict=True)
    in_real_ball = torch.stack(balls).sum(0).float()
    covered, real_found = torch.cat(cover), torch.cat(found)
    return Prdc(
        precision=float((in_real_ball > 0).float().mean()),
        recall=float(real_found.float().mean()),
        density=float(in_real_ball.mean()) / neighbours,
        coverage=float(covered.float().mean()),
    )


def nearest(points: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance to and row of the nearest reference point, for each point.

    points [M, ...], reference [N, ...] are flattened; uint8 images count as values in [0, 1].
    Returns float32 [M] (Euclidean) and int64 [M].
    """
    queries, others = _points(points), _points(reference)

    def searched(start: int) -> tuple[torch.Tensor, torch.Tensor]:
        best = torch.full((len(queries[start : start + CHUNK]),), float("inf"))
        where = torch.zeros(len(best), dtype=torch.int64)
        for offset in range(0, len(others), 16 * CHUNK):
            block = torch.cdist(
                queries[start : start + CHUNK], others[offset : offset + 16 * CHUNK]
            )
            value, row = block.min(1)
            closer = value < best
            best = torch.where(closer, value, best)
            where = torch.where(closer, row + offset, where)
        return best, where

    parts = side_by_side(searched, range(0, len(queries), CHUNK))
    distances, rows = zip(*parts, strict=True)
    return torch.cat(distances).numpy(), torch.cat(rows).numpy()


@dataclass(frozen=True)
class Memorisation:
    """How near samples lie to training images, against how near real test images lie.

    ratio: mean nearest distance of samples over that of test images; well below 1 is suspicious.
    copies: share of samples nearer to a training image than 1 % of the test images are, so about
    0.01 is what fresh real images give. rows int64 [M]: each sample's nearest training image.
    """

    ratio: float
    copies: float
    rows: np.ndarray


def memorisation(
    samples: np.ndarray, train: np.ndarray, test_distances: np.ndarray
) -> Memorisation:
    """Memorisation of samples [M, ...] of one space (pixels, or features) given train [N, ...].

    test_distances: `nearest(test, train)[0]`, which depends on real images only. Pixel distance
    favours blur (a mean image is near to all): read it beside the features'.
    Raises UserError where every test image is a training image.
    """
    distances, rows = nearest(samples, train)
    usual = float(test_distances.mean())
    if usual <= 0.01 * float(distances.mean()):  # cdist leaves a little of what should be 0
        raise UserError("memorisation: every test image is a training image; use a held-out split")
    copies = float((distances < np.quantile(test_distances, 0.01)).mean())
    return Memorisation(float(distances.mean()) / usual, copies, rows)


def memorisation_gap(samples: np.ndarray, train: np.ndarray, unseen: np.ndarray) -> float:
    """How much nearer samples lie to training images than to unseen real ones, relative.

    samples [M, ...], train and unseen [N, ...] of equal N (the nearest of more is nearer), one
    space. (d(unseen) - d(train)) / d(unseen) with d the mean nearest distance: 0 for a generator
    that does not memorise, 1 for one that copies. Blur shortens both distances alike.
    Raises UserError where the two sets differ in size or the samples are all among the unseen.
    """
    if len(train) != len(unseen):
        raise UserError(f"memorisation gap: {len(train)} training images and {len(unseen)} unseen")
    known, fresh = (float(nearest(samples, part)[0].mean()) for part in (train, unseen))
    if fresh <= 0.01 * known:  # cdist leaves a little of what should be 0
        raise UserError("memorisation gap: the samples are the held-out images")
    return (fresh - known) / fresh


def _points(values: np.ndarray) -> torch.Tensor:
    scale = 255.0 if values.dtype == np.uint8 else 1.0
    return torch.from_numpy(values.reshape(len(values), -1).astype(np.float32) / scale)


def _radii(points: torch.Tensor, neighbours: int) -> torch.Tensor:
    """Distance of each point to its k-th nearest other point, [N]."""

    def reach(start: int) -> torch.Tensor:
        distances = torch.cdist(points[start : start + CHUNK], points)
        return distances.kthvalue(neighbours + 1, dim=1).values

    return torch.cat(list(side_by_side(reach, range(0, len(points), CHUNK))))
