"""Held-out images that are few or odd: scores that cannot be taken say why, and nothing ends."""

import math

import numpy as np
import pytest

from pipeline.scores.feature_cache import FeatureCache
from pipeline.scores.indomain import in_domain
from pipeline.scores.inputs import Kept, RealImages, Samples
from pipeline.scores.judge import Judge
from pipeline.scores.score import Score, metrics

pytestmark = pytest.mark.usefixtures("few_pairs", "few_subsets")


def scores_of(real: RealImages, against: RealImages, judge: Judge, kept: Kept) -> dict[str, Score]:
    """Every in-domain score of 100 real digits as samples."""
    sample = Samples(real.train_images[-100:], real.train_labels[-100:], 0)
    found = in_domain([sample], against, judge, kept, memory_images=50).scores
    assert all(math.isfinite(value) for value in metrics(found).values())
    return {score.key: score for score in found}


def held(real: RealImages, rows: np.ndarray, name: str, train: int = 200) -> RealImages:
    """The set with these test images only."""
    return RealImages(
        real.train_images[:train],
        real.train_labels[:train],
        real.test_images[rows],
        real.test_labels[rows],
        real.classes,
        name,
    )


def one_of_each(real: RealImages) -> np.ndarray:
    return np.array([np.flatnonzero(real.test_labels == k)[0] for k in range(10)])


def test_one_held_out_image_of_each_class(
    real: RealImages, judge: Judge, kept: FeatureCache
) -> None:
    found = scores_of(real, held(real, one_of_each(real), "one of each"), judge, kept)
    (within,) = (score for score in found.values() if score.metric == "fid_within_classes")
    assert within.value is not None and within.real is None
    assert found["diversity_pixels"].value is not None and found["diversity_pixels"].real is None
    assert found["precision_judge_100"].real is not None


@pytest.mark.parametrize("count", [1, 4])
def test_fewer_than_the_neighbours(
    real: RealImages, judge: Judge, kept: FeatureCache, count: int
) -> None:
    found = scores_of(real, held(real, np.arange(count), f"the first {count}"), judge, kept)
    assert found["precision_judge_100"].value is not None
    assert found["precision_judge_100"].real is None
    assert (found["fid_judge_100"].real is None) == (count < 2)


def test_held_out_images_that_are_training_images(
    real: RealImages, judge: Judge, kept: FeatureCache
) -> None:
    few = real.train_images[:30]
    odd = RealImages(few, real.train_labels[:30], few, real.train_labels[:30], real.classes, "same")
    found = scores_of(real, odd, judge, kept)
    why = "every test image is a training image"
    assert why in found["nearest_ratio_pixels"].text()
    assert found["nearest_ratio_pixels"].text().startswith("not measured: ")
