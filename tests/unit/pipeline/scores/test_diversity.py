"""Diversity: distances by hand, the reference and its cache, groups that are none."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.scores.diversity import (
    SPACES,
    diversity,
    kept_reference,
    mean_pairwise_distance,
    real_diversity,
)
from pipeline.scores.feature_cache import FeatureCache
from pipeline.scores.inputs import Kept, RealImages
from pipeline.scores.judge import Judge

pytestmark = pytest.mark.usefixtures("few_pairs")


def test_pairwise_distance_by_hand() -> None:
    points = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 8.0]], np.float32)
    assert mean_pairwise_distance(points) == pytest.approx((5 + 8 + 5) / 3)
    images = np.zeros((2, 2, 2, 1), np.uint8)
    images[1] = 255
    assert mean_pairwise_distance(images) == pytest.approx(2.0)  # four pixels that differ by 1
    assert np.isnan(mean_pairwise_distance(images[:1]))


def test_the_reference_comes_from_the_cache(few: RealImages, judge: Judge, tmp_path: Path) -> None:
    train, test = (few.train_images, few.train_labels), (few.test_images, few.test_labels)
    reference, kept = real_diversity(train, test, judge, few.classes), FeatureCache(tmp_path)
    found = kept_reference(few, judge, kept)
    for space in SPACES:
        np.testing.assert_array_equal(found.distances[space], reference.distances[space])
        np.testing.assert_array_equal(found.held_out[space], reference.held_out[space])
    again = kept_reference(few, judge, lambda *_: kept(*_[:2], dict))  # computes nothing
    np.testing.assert_array_equal(again.distances["ssim"], found.distances["ssim"])


def test_bad_groups(few: RealImages, judge: Judge, kept: Kept) -> None:
    reference = kept_reference(few, judge, kept)
    images, labels = few.test_images[:4], np.array([0, 0, 1, 1])
    with pytest.raises(UserError, match=r"labels \[0, 1\]"):
        diversity(images, labels, judge, reference, groups=np.array([0, 1, 1, 0]))
    with pytest.raises(UserError, match="two images or more"):
        diversity(images, labels, judge, reference, groups=np.array([0, 0, 1, 2]))
    with pytest.raises(UserError, match="one of each per image"):
        diversity(images, labels[:3], judge, reference)
