"""Diversity of digits: collapse fails it although labels are obeyed, noise fails GAN-test."""

import numpy as np
import pytest

from pipeline.scores.diversity import (
    SPACES,
    RealDiversity,
    diversity,
    real_diversity,
)
from pipeline.scores.inputs import RealImages
from pipeline.scores.judge import Judge
from pipeline.scores.labels import gan_test
from pipeline.scores.similarity import Lpips

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def reference(real: RealImages, judge: Judge) -> RealDiversity:
    train, test = (real.train_images, real.train_labels), (real.test_images, real.test_labels)
    return real_diversity(train, test, judge, real.classes)


@pytest.fixture(scope="module")
def collapsed(real: RealImages, judge: Judge) -> np.ndarray:
    """One well-read image per class, repeated."""
    logits = judge.logits(real.test_images)
    sure = np.array(
        [np.argmax(np.where(real.test_labels == k, logits[:, k], -np.inf)) for k in range(10)]
    )
    return real.test_images[sure[real.test_labels]]


def test_real_images_are_as_varied_as_real_images(
    real: RealImages, judge: Judge, reference: RealDiversity
) -> None:
    found = diversity(real.test_images, real.test_labels, judge, reference)
    pixels, features, ssim = found
    assert ssim.value == pytest.approx(1, abs=0.05) and ssim.key == "diversity_ssim"
    assert "of 1 - SSIM" in ssim.protocol["distance"]
    assert pixels.value == pytest.approx(1, abs=0.05) and pixels.real == pytest.approx(1, abs=0.05)
    assert features.value == features.real == pytest.approx(1, abs=0.3)  # a judge of few images
    assert pixels.key == "diversity_pixels" and features.key == "diversity_features"
    assert set(pixels.per_class) == set(real.classes)
    assert pixels.protocol["gan_test_judge_sha256"] == judge.digest
    assert [(s.space, s.judge, s.n) for s in found] == [
        ("pixels", None, 500),
        ("features", "judge CNN", 500),
        ("ssim", None, 500),
    ]
    assert features.protocol["judge_sha256"] == judge.digest


@pytest.mark.usefixtures("few_pairs")
def test_a_collapsed_generator_fails_although_its_labels_are_right(
    real: RealImages, judge: Judge, reference: RealDiversity, collapsed: np.ndarray
) -> None:
    logits = judge.logits(collapsed)
    assert gan_test(logits, real.test_labels, judge, real.classes).value == 1.0
    found = diversity(collapsed, real.test_labels, judge, reference)
    assert [score.key for score in found] == [f"diversity_{space}" for space in SPACES]
    for score in found:
        assert score.value == pytest.approx(0, abs=1e-4)
        assert score.protocol["gan_test"] == 1.0


@pytest.mark.usefixtures("few_pairs")
def test_one_collapsed_class_is_seen_by_its_own_figure(
    real: RealImages, judge: Judge, reference: RealDiversity, collapsed: np.ndarray
) -> None:
    images = np.where((real.test_labels == 4)[:, None, None, None], collapsed, real.test_images)
    pixels = diversity(images, real.test_labels, judge, reference)[0]
    assert pixels.per_class["4"] == pytest.approx(0, abs=1e-4)
    others = [ratio for name, ratio in pixels.per_class.items() if name != "4"]
    assert min(others) > 0.8 and pixels.value == pytest.approx(0.9, abs=0.05)


@pytest.mark.usefixtures("few_pairs")
def test_noise_is_far_apart_yet_no_diversity(
    real: RealImages, judge: Judge, reference: RealDiversity
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, real.test_images.shape, dtype=np.uint8)
    pixels = diversity(noise, real.test_labels, judge, reference)[0]
    assert pixels.value is not None and pixels.value > 1
    assert pixels.protocol["gan_test"] < 0.3


@pytest.mark.usefixtures("few_pairs")
def test_groups_tell_one_noise_from_another(
    real: RealImages, judge: Judge, reference: RealDiversity
) -> None:
    """Pairs of equal images: the classes vary, but within a group nothing does."""
    order = np.argsort(real.test_labels, kind="stable")
    images, labels = real.test_images[order][::2].repeat(2, axis=0), real.test_labels[order]
    groups = np.arange(len(labels)) // 2
    inside = diversity(images, labels, judge, reference, groups=groups, varies="z_0")
    assert inside[0].key == "diversity_z0_pixels" and "z_0" in inside[0].name
    assert inside[0].value == pytest.approx(0, abs=1e-4)
    across = diversity(images, labels, judge, reference)[0]
    assert across.value is not None and across.value > 0.9


def test_it_grows_from_collapse_to_real(
    real: RealImages, judge: Judge, reference: RealDiversity, collapsed: np.ndarray
) -> None:
    one = collapsed.astype(float)
    found = [
        diversity(
            (one + share * (real.test_images - one)).astype(np.uint8),
            real.test_labels,
            judge,
            reference,
        )
        for share in (0, 0.25, 0.5, 1)
    ]
    for space in (0, SPACES.index("ssim")):
        ratios = [scores[space].value for scores in found]
        assert ratios == sorted(ratios) and len(set(ratios)) == 4  # type: ignore[type-var]


@pytest.mark.usefixtures("few_pairs")
def test_lpips_is_a_fourth_space(
    real: RealImages, judge: Judge, lpips: Lpips, collapsed: np.ndarray
) -> None:
    train, test = (real.train_images, real.train_labels), (real.test_images, real.test_labels)
    reference = real_diversity(train, test, judge, real.classes, per_class=10, lpips=lpips)
    same = diversity(real.test_images, real.test_labels, judge, reference)[-1]
    assert same.key == "diversity_lpips" and "LPIPS on AlexNet" in same.name
    assert same.value == pytest.approx(1, abs=0.15)
    assert same.protocol["judge_sha256"] == lpips.digest
    gone = diversity(collapsed, real.test_labels, judge, reference)[-1]
    assert gone.value == pytest.approx(0, abs=1e-4)


def test_classes_of_a_single_image_are_left_out_and_named(
    real: RealImages, judge: Judge, reference: RealDiversity
) -> None:
    rows = [np.flatnonzero(real.test_labels == k)[:count] for k, count in ((3, 4), (7, 1))]
    images, labels = (x[np.concatenate(rows)] for x in (real.test_images, real.test_labels))
    pixels = diversity(images, labels, judge, reference)[0]
    assert set(pixels.per_class) == {"3"} and pixels.protocol["alone"] == ["7"]
    assert (pixels.n, pixels.protocol["groups"]) == (5, 1)
    threes = diversity(images[:4], labels[:4], judge, reference)[0]
    assert threes.value == pixels.value and "alone" not in threes.protocol
    seven = diversity(images[4:], labels[4:], judge, reference)
    assert all("no class has two samples" in score.text() for score in seven)
