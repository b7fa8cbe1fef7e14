"""NDB: the share of the data's bins that samples fill too much or too little.

Richardson and Weiss 2018 (arXiv 1805.12462), section 3: k-means cells of the training images, and a
two-proportion z-test in each. Classes or styles that are missing show as bins that differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pipeline.scores.inputs import Kept, RealImages, Samples, Sets, drawn
from pipeline.scores.naming import scored
from pipeline.scores.score import Score, combine, mean_sd
from pipeline.threads import side_by_side

BINS = 100
LEVEL_Z = 1.96  # two-sided, 5 %
_PER_BIN = 10


def bins(
    train: np.ndarray, count: int = BINS, *, images: int = 10_000, seed: int = 0
) -> np.ndarray:
    """Centres float32 [K, F] of k-means cells of training images [N, ...], at most `images`.

    uint8 counts as values in [0, 1]. K is `count`, less where that leaves a cell below ten images,
    and without cells that stay empty.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(seed)
    flat = _flat(train[rng.permutation(len(train))[:images]])
    count = max(2, min(count, len(flat) // _PER_BIN))
    with threadpool_limits(torch.get_num_threads()):  # its sums, as torch's, depend on them
        found = KMeans(count, n_init=1, max_iter=20, random_state=seed).fit(flat)
    return np.asarray(found.cluster_centers_[np.unique(found.labels_)], np.float32)


def nearest_bin(images: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The bin that each of the images [N, ...] falls into: int64 [N], by the nearest centre."""
    flat, to = torch.from_numpy(_flat(images)), torch.from_numpy(centres)
    found = side_by_side(lambda part: torch.cdist(part, to).argmin(1), flat.split(1024))
    return torch.cat(list(found)).numpy()


def ndb(fake: np.ndarray, real: np.ndarray, count: int) -> float:
    """NDB / K in 0..1 from the bins int [M] and [N] of two sets: shares of the K = `count` bins
    that differ at the 5 % level.

    Two draws of one distribution differ in 0.05 of the bins by chance. It grows with M and N.
    """
    shares = [np.bincount(found, minlength=count) / len(found) for found in (fake, real)]
    pooled = (shares[0] * len(fake) + shares[1] * len(real)) / (len(fake) + len(real))
    error = np.sqrt(pooled * (1 - pooled) * (1 / len(fake) + 1 / len(real)))
    return float((np.abs(shares[0] - shares[1]) > LEVEL_Z * error).mean())


@dataclass(frozen=True)
class RealBins:
    """Centres float32 [K, F] of the training images' bins, the bin int64 [N] of each training
    image, and NDB of real test images for each seed."""

    centres: np.ndarray
    train: np.ndarray
    floors: list[float]

    def share(self, images: np.ndarray, seed: int) -> float:
        """NDB of images against a random part of the training split of their number."""
        return _share(images, self.centres, self.train, len(images), seed)


def real_bins(sets: Sets, real: RealImages, kept: Kept) -> RealBins:
    """All of `ndb_scores` that needs no samples, kept."""
    centres = kept(__name__, f"bins:{real.identity}", lambda: {"centres": bins(real.train_images)})[
        "centres"
    ]
    owners = kept(
        __name__,
        f"train:{real.identity}",
        lambda: {"bins": nearest_bin(real.train_images, centres)},
    )["bins"]

    def floors() -> dict[str, np.ndarray]:
        rows = [(seed, drawn(len(real.test_images), sets.count, seed)) for seed in sets.seeds]
        found = [_share(real.test_images[r], centres, owners, sets.count, s) for s, r in rows]
        return {"ndb": np.array(found)}

    name = f"floors:{sets.count}:{list(sets.seeds)}:{real.identity}"
    return RealBins(centres, owners, kept(__name__, name, floors)["ndb"].tolist())


def _share(
    images: np.ndarray, centres: np.ndarray, owners: np.ndarray, count: int, seed: int
) -> float:
    """NDB of images against `count` of the training images, whose bins are `owners`."""
    part = drawn(len(owners), count, seed)
    return ndb(nearest_bin(images, centres), owners[part], len(centres))


def ndb_scores(samples: Sequence[Samples], real: RealImages, kept: Kept, **protocol: Any) -> Score:
    """NDB/K of sample sets over bins of the training images' pixels, beside that of test images.

    A set is compared with a random part of the training split of its size, another one per seed.
    """
    sets = Sets.of(samples)
    own = real_bins(sets, real, kept)
    floor, floor_sd = mean_sd(own.floors)
    facts = {
        "judge": "pixels",
        "resize": "none",
        "n_fake": sets.count,
        "n_real": min(sets.count, len(real.train_images)),
        "n_floor": min(sets.count, len(real.test_images)),
        "reference": "train",
        "bins": len(own.centres),
        **protocol,
    }
    found = [
        scored(
            "ndb",
            own.share(one.images, one.seed),
            n=sets.count,
            space="pixels",
            real=floor,
            real_sd=floor_sd,
            protocol=facts,
        )
        for one in samples
    ]
    return combine(found, seeds=list(sets.seeds))


def _flat(images: np.ndarray) -> np.ndarray:
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(scale)
