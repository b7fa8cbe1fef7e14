"""One protocol for judges of the data and for others: floors, what is left out, what is kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.scores.distribution import FIGURES
from pipeline.scores.feature_cache import FeatureCache
from pipeline.scores.inception import NO_LAST_LAYER, Inception
from pipeline.scores.inception_network import InceptionTrunk
from pipeline.scores.inputs import RealImages, Samples, drawn
from pipeline.scores.judge import Judge
from pipeline.scores.protocol import SPLITS_TOLD, Reference, measure, real_outputs

ALL = Reference(drawn=False)


@pytest.fixture(scope="module")
def trunk() -> Inception:
    torch.manual_seed(0)
    return Inception(InceptionTrunk().state_dict(), "test")


@pytest.fixture
def inception(trunk: Inception, monkeypatch: pytest.MonkeyPatch) -> Inception:
    """A judge of other classes. It reads the least that its trunk can, a sixteenth of the pixels:
    how well it sees is not the subject."""
    monkeypatch.setattr("pipeline.scores.inception.SIZE", 75)
    return trunk


def tiny(images: np.ndarray, cut: int) -> RealImages:
    """Real data of one class: the first `cut` images to train on, the next as many to test on."""
    labels = np.zeros(cut, np.int64)
    return RealImages(images[:cut], labels, images[cut : 2 * cut], labels, ("all",), "digest")


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)


def test_another_judge_gets_no_scores_of_its_classes(inception: Inception, tmp_path: Path) -> None:
    images = noise(12)
    real, sets = tiny(images, 6), [Samples(images[6:], np.zeros(6, np.int64), 1)]
    found = measure(sets, real, inception, FeatureCache(tmp_path), reference=ALL, ema=True)
    assert [score.metric for score in found.scores] == ["is", *FIGURES]
    scores = {score.key: score for score in found.scores}
    for key in FIGURES:
        score = scores[f"{key}_6"]
        assert score.value == pytest.approx(score.real, rel=1e-6), key
        assert (score.protocol["n_real"], score.protocol["ema"]) == (6, True)
        assert (score.judge, score.n) == ("Inception", 6)
    assert scores["is_6"].why == NO_LAST_LAYER and scores["is_6"].real is None


def test_sets_are_combined_and_told_of(inception: Inception, tmp_path: Path) -> None:
    images = noise(12)
    real, labels = tiny(images, 4), np.zeros(4, np.int64)
    samples = [Samples(images[4:8], labels, 3), Samples(images[8:], labels, 4)]
    said: list[tuple[str, int, int]] = []
    found = measure(
        samples,
        real,
        inception,
        FeatureCache(tmp_path),
        reference=ALL,
        neighbours=2,
        told=lambda *one: said.append(one),
    )
    fid = found.scores[1]
    assert fid.key == "fid_4" and fid.repeats == 2 and fid.sd is not None
    assert fid.protocol["seeds"] == [3, 4] and fid.real_sd is None  # its floor is one draw
    assert fid.protocol["neighbours"] == 2  # by which the gate knows recall's
    ours = [one for one in said if one[0] == "Inception, samples"]
    assert ours == [("Inception, samples", 4, 8), ("Inception, samples", 8, 8)]


class Interrupted(Exception):
    pass


def test_an_interrupted_run_goes_on_from_the_last_portion(
    inception: Inception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inception, "portion", 2)
    images = noise(10)
    real, kept = tiny(images, 5), FeatureCache(tmp_path)
    whole = inception.features(images[:5])

    def stop(what: str, done: int, total: int) -> None:
        if done > 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        real_outputs("train", 5, real, inception, kept, stop)
    assert len(list(tmp_path.iterdir())) == 1
    said: list[tuple[str, int, int]] = []
    computed: list[int] = []
    outputs = inception.outputs
    monkeypatch.setattr(
        inception, "outputs", lambda part, told: computed.append(len(part)) or outputs(part, told)
    )
    found, logits = real_outputs("train", 5, real, inception, kept, lambda *one: said.append(one))
    assert said[0][0].endswith(SPLITS_TOLD)
    np.testing.assert_allclose(found, whole, atol=1e-5)
    assert computed == [2, 1] and logits is None  # not the first two images
    assert said[0] == ("Inception, train", 2, 5) and said[-1] == ("Inception, train", 5, 5)
    assert len(real_outputs("train", 2, real, inception, kept)[0]) == 2
    assert computed == [2, 1]


@pytest.mark.usefixtures("few_subsets")
def test_drawn_references_are_another_part_for_each_seed(
    real: RealImages, judge: Judge, kept: FeatureCache
) -> None:
    reference = Reference()
    one, other = (reference.train(2000, 300, seed) for seed in (1, 2))
    assert len(set(one)) == 300 and set(one) != set(other)
    assert reference.draws([1, 2]) == [1, 2] and ALL.draws([1, 2]) == [0]
    assert Reference(drawn=False, limit=50).train(2000, 300, 1).tolist() == list(range(50))
    sets = [Samples(real.test_images[:300], real.test_labels[:300], seed) for seed in (1, 2)]
    found = measure(sets, real, judge, kept)
    assert [score.metric for score in found.scores] == [
        "gan_test", "is", *FIGURES, "fid_within_classes"]  # fmt: skip
    assert all(score.real_sd is not None for score in found.scores)
    assert found.real.train.shape == (2000, 128) and found.first.shape == (300, 128)


@pytest.mark.usefixtures("few_subsets")
def test_a_rare_class_need_not_be_in_the_real_images_of_every_seed(
    real: RealImages, judge: Judge, tmp_path: Path
) -> None:
    """Three nines of 200 images, of which a seed draws 100."""
    rows = [np.flatnonzero(real.train_labels < 9)[:197], np.flatnonzero(real.train_labels == 9)[:3]]
    images, labels = (x[np.concatenate(rows)] for x in (real.train_images, real.train_labels))
    test = {"test_images": real.test_images[:100], "test_labels": real.test_labels[:100]}
    rare = replace(real, train_images=images, train_labels=labels, **test)
    several = {seed: (drawn(200, 100, seed) >= 197).sum() > 1 for seed in range(20)}
    seeds = [next(seed for seed in several if several[seed] == found) for found in (False, True)]
    sets = [Samples(rare.test_images, rare.test_labels, seed) for seed in seeds]
    found = measure(sets, rare, judge, FeatureCache(tmp_path)).scores
    (within,) = (score for score in found if score.metric == "fid_within_classes")
    assert (within.n, within.repeats, set(within.per_class)) == (10, 2, set(real.classes))
    assert within.protocol["classes_not_in_every_set"] == ["9"] and within.real is not None


def test_sets_that_do_not_belong_together(real: RealImages, judge: Judge, tmp_path: Path) -> None:
    one = Samples(real.test_images[:20], real.test_labels[:20], 1)
    for bad in (replace(one, labels=None), replace(one, labels=one.labels[:3])):  # type: ignore[index]
        with pytest.raises(UserError, match="labels"):
            measure([one, bad], real, judge, FeatureCache(tmp_path))
