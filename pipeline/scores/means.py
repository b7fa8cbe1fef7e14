"""What an evaluation is lent here: caches beside the checkpoints, published weights, a voice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.scores.cifar10_weights import cifar10_state
from pipeline.scores.feature_cache import FEATURES, FeatureCache, StoredCache
from pipeline.scores.inception_weights import inception_state
from pipeline.scores.inputs import Kept, Told, unheard
from pipeline.scores.lent import Means
from pipeline.scores.lpips_weights import lpips_state
from pipeline.storage.store import Storage
from pipeline.threads import on_threads_each

Compute = Callable[[], dict[str, np.ndarray]]


def means(
    storage: Storage,
    told: Told = unheard,
    device: str = "cpu",
    precision: str = "auto",
    *,
    threads: int,
) -> Means:
    """Means with the folders `features` and `judge` of `storage` as caches.

    threads: that what is kept is computed on, whatever the samples are scored on: so its bits are
    the same ones wherever it is done first.
    """

    def kept(folder: str) -> Kept:
        root = storage.local
        cache = StoredCache(storage, folder) if root is None else FeatureCache(root / folder)

        def own(module: str, name: str, compute: Compute) -> dict[str, np.ndarray]:
            def computed() -> dict[str, np.ndarray]:
                with on_threads_each(threads):
                    return compute()

            return cache(module, name, computed)

        return own

    return Means(
        kept(FEATURES),
        kept("judge"),
        cifar10_state,
        lpips_state,
        inception_state,
        told,
        device,
        precision,
    )
