"""Copies in a space of two dimensions, where distances can be told by eye."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.scores.feature_cache import FeatureCache
from pipeline.scores.memory import Space, memory_scores


@pytest.fixture(scope="module")
def space() -> Space:
    train, test = np.random.default_rng(0).normal(size=(2, 400, 2)).astype(np.float32)
    return Space("features", "judge CNN", "points", train, test, {"judge": "judge CNN"})


def test_copies_and_fresh_points(space: Space, tmp_path: Path) -> None:
    kept = FeatureCache(tmp_path)
    copied, rows = memory_scores(space.train[:100], space, kept, seeds=[1])
    ratio, copies, gap = copied
    assert (ratio.key, copies.key, gap.key) == (
        "nearest_ratio_features", "copies_features", "memorisation_gap_features")  # fmt: skip
    np.testing.assert_array_equal(rows, np.arange(100))
    assert ratio.value == pytest.approx(0, abs=1e-3) and copies.value == 1.0
    assert gap.protocol["reached_by_copies"] == 0.5 and gap.protocol["seeds"] == [1]
    assert gap.value == pytest.approx(0.5, abs=0.15)  # half of the copied are searched
    fresh = np.random.default_rng(1).normal(size=(100, 2)).astype(np.float32)
    (ratio, copies, gap), _ = memory_scores(fresh, space, kept)
    assert ratio.value == pytest.approx(1, abs=0.2) and copies.value < 0.1  # type: ignore[operator]
    assert gap.value == pytest.approx(0, abs=0.25)
    assert len(list(tmp_path.iterdir())) == 2  # distances and the real gap, of real points only
    assert "(judge CNN features)" in ratio.name and gap.judge == "judge CNN"


def test_held_out_points_have_no_gap_but_a_reason(space: Space, tmp_path: Path) -> None:
    order = np.random.default_rng([0, 7]).permutation(400)
    (_, _, gap), _ = memory_scores(space.test[order[:200]], space, FeatureCache(tmp_path))
    assert gap.value is None and "held-out images" in gap.why
