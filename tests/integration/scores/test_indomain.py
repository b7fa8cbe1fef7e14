"""The whole in-domain protocol on real digits, on a spoilt copy, and from its cache."""

import numpy as np
import pytest

from pipeline.scores.feature_cache import FeatureCache
from pipeline.scores.indomain import InDomain, in_domain
from pipeline.scores.inputs import Kept, RealImages, Samples
from pipeline.scores.judge import Judge
from pipeline.scores.score import Score, metrics

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("few_pairs", "few_subsets")]


def by_key(found: InDomain) -> dict[str, Score]:
    return {score.key: score for score in found.scores}


def sets(real: RealImages, noise: float) -> list[Samples]:
    made = []
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        images = real.test_images + rng.normal(0, noise, real.test_images.shape)
        made.append(Samples(np.clip(images, 0, 255).astype(np.uint8), real.test_labels, seed))
    return made


def test_real_digits_are_at_their_floor_and_noise_is_not(
    real: RealImages, judge: Judge, kept: FeatureCache
) -> None:
    told: list[tuple[str, int, int]] = []
    best = by_key(
        in_domain(sets(real, 0), real, judge, kept, told=lambda *said: told.append(said), ema=False)
    )
    assert ("judge CNN, samples", 1000, 1000) in told and told[-1] == ("memorisation", 0, 0)
    for score in best.values():
        assert score.value is not None and score.real is not None, score.key
        assert score.protocol.get("ema") is False or score.protocol["judge"] == "pixels", score.key
    for key in ("gan_test", "fid_judge_500", "precision_judge_500", "coverage_judge_500"):
        assert best[key].value == pytest.approx(best[key].real, rel=0.02), key
        assert best[key].repeats == 2 and best[key].protocol["seeds"] == [0, 1]
    assert best["nearest_ratio_pixels"].value == pytest.approx(1, abs=1e-3)
    for key in ("memorisation_gap_pixels", "nearest_ratio_features"):
        assert best[key].protocol["seeds"] == [0], key  # the first set only
    needed = {"judge", "resize", "reference", "n_fake", "n_real"}
    of_fakes = {"gan_test", "is_judge_500"}  # these have no reference
    for score in best.values():
        lacking = needed - set(score.protocol)
        assert not lacking or score.key in of_fakes or score.metric == "diversity", score.key
        judged = score.protocol["judge"] != "pixels"
        assert not judged or len(score.protocol["judge_sha256"]) == 64, score.key
    cached = {file: file.stat().st_mtime_ns for file in kept.folder.iterdir()}
    worse = by_key(in_domain(sets(real, 60), real, judge, kept))
    assert {file: file.stat().st_mtime_ns for file in kept.folder.iterdir()} == cached
    for key in ("fid_judge_500", "kid_judge_500", "fid_within_classes_judge"):
        assert worse[key].value > 2 * best[key].value, key  # type: ignore[operator]
        assert worse[key].real == best[key].real, key
    assert worse["coverage_judge_500"].value < 0.8 * best["coverage_judge_500"].value  # type: ignore[operator]
    flat = metrics(list(worse.values()))
    assert {"gan_test", "gan_test_sd", "gan_test_real"} <= set(flat)


def test_copies_of_training_images_are_reported(real: RealImages, judge: Judge, kept: Kept) -> None:
    copied = Samples(real.train_images[:500], real.train_labels[:500], 0)
    found = in_domain([copied], real, judge, kept)
    scores = by_key(found)
    assert scores["nearest_ratio_pixels"].value == pytest.approx(0, abs=0.01)
    gap = scores["memorisation_gap_pixels"]
    assert gap.protocol["reached_by_copies"] == 250 / 2000
    assert gap.value > gap.protocol["reached_by_copies"]  # type: ignore[operator]
    assert gap.real == pytest.approx(0, abs=0.08)
    assert scores["copies_pixels"].value == 1.0 and scores["copies_features"].value > 0.99  # type: ignore[operator]
    assert (found.nearest_rows == np.arange(500)).mean() > 0.99
    assert scores["gan_test"].sd is None


def test_a_collapsed_generator_fails_where_accuracy_is_one(
    real: RealImages, judge: Judge, kept: Kept
) -> None:
    """One image per class, the one that the judge is surest of."""
    logits = judge.logits(real.test_images)
    surest = np.array(
        [np.argmax(np.where(real.test_labels == k, logits[:, k], -np.inf)) for k in range(10)]
    )
    one = Samples(real.test_images[surest[real.test_labels]], real.test_labels, 0)
    scores = by_key(in_domain([one], real, judge, kept))
    assert scores["gan_test"].value == 1.0
    for space in ("pixels", "features", "ssim"):
        score = scores[f"diversity_{space}"]
        assert score.value == pytest.approx(0, abs=1e-4), space
        assert score.real == pytest.approx(1, abs=0.3), space
    assert scores["recall_judge_500"].value == 0
    assert scores["coverage_judge_500"].value < 0.1  # type: ignore[operator]
    for key in ("fid_judge_500", "fid_within_classes_judge", "ndb_pixels_500"):
        assert scores[key].value > 1.2 * scores[key].real, key  # type: ignore[operator]


def test_without_labels_what_needs_them_is_left_out_and_the_rest_is_the_same(
    real: RealImages, judge: Judge, kept: Kept
) -> None:
    one = sets(real, 30)[0]
    labelled = in_domain([one], real, judge, kept)
    found = in_domain([Samples(one.images, None, one.seed)], real, judge, kept)
    assert found.real_diversity is None
    with_labels = {"gan_test", "fid_within_classes", "diversity"}
    assert with_labels.isdisjoint(score.metric for score in found.scores)
    same = [score for score in labelled.scores if score.metric not in with_labels]
    assert found.scores == same and len(same) == 14
