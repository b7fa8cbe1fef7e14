"""What an evaluation is lent here: caches beside the checkpoints, published weights, a voice."""

from __future__ import annotations

from pipeline.scores.cifar10_weights import cifar10_state
from pipeline.scores.evaluation import Means
from pipeline.scores.feature_cache import FeatureCache, StoredCache
from pipeline.scores.inception_weights import inception_state
from pipeline.scores.inputs import Kept, Told, unheard
from pipeline.scores.lpips_weights import lpips_state
from pipeline.storage.store import Storage


def means(
    storage: Storage, told: Told = unheard, device: str = "cpu", precision: str = "auto"
) -> Means:
    """Means with the folders `features` and `judge` of `storage` as caches."""

    def kept(folder: str) -> Kept:
        root = storage.local
        return StoredCache(storage, folder) if root is None else FeatureCache(root / folder)

    return Means(
        kept("features"),
        kept("judge"),
        cifar10_state,
        lpips_state,
        inception_state,
        told,
        device,
        precision,
    )
