"""NDB: the share of the data's bins that samples fill too much or too little.

Richardson and Weiss 2018 (arXiv 1805.12462), section 3: k-means cells of the training images, and a
two-proportion z-test in each. Classes or styles that are missing show as bins that differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pipeline.scores.inputs import Kept, RealImages, Samples, drawn
from pipeline.scores.naming import scored
from pipeline.scores.score import Score, combine, mean_sd

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

    rng = np.random.default_rng(seed)
    flat = _flat(train[rng.permutation(len(train))[:images]])
    count = max(2, min(count, len(flat) // _PER_BIN))
    found = KMeans(count, n_init=1, max_iter=20, random_state=seed).fit(flat)
    return np.asarray(found.cluster_centers_[np.unique(found.labels_)], np.float32)


def nearest_bin(images: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The bin that each of the images [N, ...] falls into: int64 [N], by the nearest centre."""
    flat, to = torch.from_numpy(_flat(images)), torch.from_numpy(centres)
    return torch.cat([torch.cdist(part, to).argmin(1) for part in flat.split(4096)]).numpy()


def ndb(fake: np.ndarray, real: np.ndarray, count: int) -> float:
    """NDB / K in 0..1 from the bins int [M] and [N] of two sets: shares of the K = `count` bins
    that differ at the 5 % level.

    Two draws of one distribution differ in 0.05 of the bins by chance. It grows with M and N.
    """
    shares = [np.bincount(found, minlength=count) / len(found) for found in (fake, real)]
    pooled = (shares[0] * len(fake) + shares[1] * len(real)) / (len(fake) + len(real))
    error = np.sqrt(pooled * (1 - pooled) * (1 / len(fake) + 1 / len(real)))
    return float((np.abs(shares[0] - shares[1]) > LEVEL_Z * error).mean())


def ndb_scores(samples: Sequence[Samples], real: RealImages, kept: Kept, **protocol: Any) -> Score:
    """NDB/K of sample sets over bins of the training images' pixels, beside that of test images.

    A set is compared with a random part of the training split of its size, another one per seed.
    """
    count = len(samples[0].images)
    centres = kept(__name__, f"bins:{real.identity}", lambda: {"centres": bins(real.train_images)})[
        "centres"
    ]
    owners = kept(
        __name__,
        f"train:{real.identity}",
        lambda: {"bins": nearest_bin(real.train_images, centres)},
    )["bins"]

    def share(images: np.ndarray, seed: int) -> float:
        part = drawn(len(real.train_images), count, seed)
        return ndb(nearest_bin(images, centres), owners[part], len(centres))

    def floors() -> dict[str, np.ndarray]:
        rows = {one.seed: drawn(len(real.test_images), count, one.seed) for one in samples}
        return {"ndb": np.array([share(real.test_images[rows[s]], s) for s in rows])}

    seeds = [one.seed for one in samples]
    kept_floors = kept(__name__, f"floors:{count}:{seeds}:{real.identity}", floors)["ndb"]
    floor, floor_sd = mean_sd(kept_floors.tolist())
    facts = {
        "judge": "pixels",
        "resize": "none",
        "n_fake": count,
        "n_real": min(count, len(real.train_images)),
        "n_floor": min(count, len(real.test_images)),
        "reference": "train",
        "bins": len(centres),
        **protocol,
    }
    found = [
        scored(
            "ndb",
            share(one.images, one.seed),
            n=count,
            space="pixels",
            real=floor,
            real_sd=floor_sd,
            protocol=facts,
        )
        for one in samples
    ]
    return combine(found, seeds=seeds)


def _flat(images: np.ndarray) -> np.ndarray:
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(scale)
