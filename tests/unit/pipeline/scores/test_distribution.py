"""FID, KID and the rest on the judge's features: floors, monotony, equality with the library."""

import functools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from pipeline.errors import UserError
from pipeline.scores.distribution import as_scores, compare, fid, fid_within_classes, kid
from pipeline.scores.inputs import Kept, RealImages
from pipeline.scores.judge import Judge
from pipeline.scores.protocol import real_outputs
from tests import lighter

Spoilt = Callable[[str, float], np.ndarray]


@pytest.fixture(scope="module")
def train(real: RealImages, judge: Judge, kept: Kept) -> np.ndarray:
    return real_outputs("train", len(real.train_images), real, judge, kept)[0]


def test_fid_equals_torchmetrics(train: np.ndarray) -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Features(torch.nn.Identity):
        num_features = 128

    metric = FrechetInceptionDistance(feature=Features()).set_dtype(torch.float64)
    a, b = train[::2], train[1::2] * 1.1
    metric.update(torch.from_numpy(a).double(), real=True)
    metric.update(torch.from_numpy(b).double(), real=False)
    assert fid(b, a) == pytest.approx(float(metric.compute()), rel=1e-3)


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


def test_kid_is_the_unbiased_estimate_of_its_paper(train: np.ndarray) -> None:
    """Bińkowski et al. 2018, equation 4, on whole sets: one subset as large as they are."""
    a, b = (train[rows].astype(np.float64) for rows in (slice(0, 200), slice(1000, 1200)))
    n, width = a.shape

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / width + 1) ** 3

    within = sum((kernel(x, x).sum() - np.trace(kernel(x, x))) / (n * (n - 1)) for x in (a, b))
    expected = within - 2 * kernel(a, b).mean()
    found = kid(train[1000:1200], train[:200], subsets=1, size=n)
    assert found == pytest.approx(expected, rel=1e-3) and abs(found) > 1e-4


def test_kid_is_settled_by_its_seed(train: np.ndarray) -> None:
    torch.manual_seed(0)
    one = kid(train[:300], train[300:900], subsets=5, size=100)
    torch.manual_seed(1)
    assert kid(train[:300], train[300:900], subsets=5, size=100) == one


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


def test_names_say_judge_and_n(judge: Judge) -> None:
    score = as_scores({"fid": 2.0}, judge, n_fake=10000, n_real=10000, reference="train")[0]
    assert (score.name, score.key) == ("FID (judge CNN, 10k)", "fid_judge_10k")
    assert score.protocol["n_real"] == 10000 and score.protocol["judge_sha256"] == judge.digest
