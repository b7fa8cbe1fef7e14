"""What an evaluation is lent here: caches beside the checkpoints, published weights, a voice."""

from __future__ import annotations

from pathlib import Path

from pipeline.scores.cifar10_weights import cifar10_state
from pipeline.scores.evaluation import Means
from pipeline.scores.feature_cache import FeatureCache
from pipeline.scores.inception_weights import inception_state
from pipeline.scores.inputs import Told, unheard
from pipeline.scores.lpips_weights import lpips_state


def means(storage: Path, told: Told = unheard, device: str = "cpu") -> Means:
    """Means with the folders `features` and `judge` of `storage` as caches."""
    return Means(
        FeatureCache(storage / "features"),
        FeatureCache(storage / "judge"),
        cifar10_state,
        lpips_state,
        inception_state,
        told,
        device,
    )
