"""FID, KID and the rest on features of real digits: floors, and what worsens as images do."""

import functools
from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pipeline.errors import UserError
from pipeline.scores.distribution import compare, fid, fid_within_classes
from pipeline.scores.inputs import Kept, RealImages
from pipeline.scores.judge import Judge
from pipeline.scores.protocol import real_outputs
from tests import lighter

pytestmark = pytest.mark.integration

Spoilt = Callable[[str, float], np.ndarray]


@pytest.fixture(scope="module")
def train(real: RealImages, judge: Judge, kept: Kept) -> np.ndarray:
    return real_outputs("train", len(real.train_images), real, judge, kept)[0]


@pytest.mark.usefixtures("few_subsets")
def test_the_same_set_is_at_the_floor(train: np.ndarray) -> None:
    found = compare(train[:1000], train[:1000])
    assert found["fid"] == pytest.approx(0, abs=1e-6)
    assert abs(found["kid"]) < 0.01
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)
    assert found["density"] == pytest.approx(1, abs=0.25)


@pytest.fixture(scope="module")
def spoilt(real: RealImages, judge: Judge) -> Spoilt:
    """`spoilt("noise" or "blur", strength)`: features of test images, each read once."""
    noise = np.random.default_rng(0).normal(0, 1, real.test_images.shape)

    @functools.cache
    def features(spoil: str, strength: float) -> np.ndarray:
        if spoil == "noise":
            images = np.clip(real.test_images + 60 * strength * noise, 0, 255).astype(np.uint8)
        else:
            images = gaussian_filter(real.test_images, (0, 1.5 * strength, 1.5 * strength, 0))
        return judge.features(images)

    return features


@pytest.fixture(scope="module")
def clean(real: RealImages, judge: Judge, kept: Kept) -> np.ndarray:
    """Features of the test images as they are."""
    return real_outputs("test", len(real.test_images), real, judge, kept)[0]


@pytest.fixture(scope="module")
def unspoilt(clean: np.ndarray, train: np.ndarray) -> dict[str, float]:
    """Their figures."""
    with pytest.MonkeyPatch.context() as patch:
        lighter.few_subsets(patch, 20)
        return compare(clean, train)


@pytest.mark.usefixtures("few_subsets")
@pytest.mark.parametrize("spoil", ["noise", "blur", "fewer classes"])
def test_it_worsens_as_images_do(
    spoil: str,
    real: RealImages,
    clean: np.ndarray,
    train: np.ndarray,
    spoilt: Spoilt,
    unspoilt: dict[str, float],
) -> None:
    def features(strength: float) -> np.ndarray:
        if spoil == "fewer classes":
            return clean[real.test_labels < 10 - 4 * strength]
        return spoilt(spoil, strength)

    found = [unspoilt, *(compare(features(strength), train) for strength in (0.5, 1, 2))]
    for key in ("fid", "kid"):
        values = [one[key] for one in found]
        assert values == sorted(values) and values[-1] > 10 * max(values[0], 1e-3), key
    for key in ("coverage", "recall") if spoil == "fewer classes" else ("coverage",):
        values = [one[key] for one in found]
        assert values == sorted(values, reverse=True) and values[-1] < 0.7 * values[0], key


@pytest.mark.parametrize("spoil", ["noise", "blur", "fewer images"])
def test_fid_within_classes_worsens_as_images_do(
    spoil: str, real: RealImages, clean: np.ndarray, train: np.ndarray, spoilt: Spoilt
) -> None:
    """A dropped class has no FID of its own; what can go missing inside a class are its images."""

    def mean(strength: float) -> float:
        features, labels = clean, real.test_labels
        if spoil == "fewer images":
            few = [np.flatnonzero(labels == k)[: round(50 / 4**strength)] for k in range(10)]
            rows = np.concatenate([np.resize(one, 50) for one in few])
            features, labels = clean[rows], labels[rows]
        elif strength:
            features = spoilt(spoil, strength)
        found = fid_within_classes(features, labels, train, real.train_labels, real.classes)
        return float(np.mean(list(found.values())))

    values = [mean(strength) for strength in (0, 0.5, 1, 2)]
    assert values == sorted(values) and values[-1] > 2 * values[0]


def test_within_classes(real: RealImages, train: np.ndarray) -> None:
    swapped = (real.train_labels + 1) % 10
    labels = real.train_labels
    right = fid_within_classes(train, labels, train, labels, real.classes)
    wrong = fid_within_classes(train, swapped, train, labels, real.classes)
    assert set(right) == set(real.classes) and max(right.values()) < 1e-6
    assert fid(train, train) == pytest.approx(0, abs=1e-6)  # labels swapped: FID does not see it
    assert min(wrong.values()) > 1
    with pytest.raises(UserError, match="no class"):
        fid_within_classes(train[:1], labels[:1], train, labels, real.classes)
