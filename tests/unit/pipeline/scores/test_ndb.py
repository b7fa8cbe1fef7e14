"""NDB: chance level for two real sets, and more for whatever is missing or spoilt."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import chi2_contingency

from pipeline.scores.inputs import Kept, RealImages, Samples
from pipeline.scores.ndb import bins, ndb, ndb_scores, nearest_bin

COUNT = 20
# Not every other one: MNIST's order alternates between two groups of writers, and NDB sees that.
KNOWN, FRESH = np.random.default_rng(0).permutation(2000).reshape(2, 1000)


@pytest.fixture(scope="module")
def centres(real: RealImages) -> np.ndarray:
    """Bins of half the training images; the others are fresh images of the same writers."""
    return bins(real.train_images[KNOWN], COUNT)


def score(images: np.ndarray, real: RealImages, centres: np.ndarray) -> float:
    known = nearest_bin(real.train_images[KNOWN], centres)
    return ndb(nearest_bin(images, centres), known, len(centres))


def test_each_bin_is_the_librarys_test() -> None:
    """The two-proportion z-test is the chi-squared test of a 2 x 2 table without correction."""
    rng = np.random.default_rng(0)
    fake, real = rng.choice(10, 400, p=np.arange(1, 11) / 55), rng.choice(10, 900)
    apart = []
    for index in range(10):
        inside = [(fake == index).sum(), (real == index).sum()]
        table = [inside, [len(fake) - inside[0], len(real) - inside[1]]]
        apart.append(chi2_contingency(table, correction=False).pvalue < 0.05)
    assert ndb(fake, real, 10) == pytest.approx(np.mean(apart))
    assert 0 < np.mean(apart) < 1


def test_two_draws_of_one_distribution_differ_by_chance() -> None:
    rng = np.random.default_rng(1)
    found = [ndb(rng.integers(0, 100, 5000), rng.integers(0, 100, 5000), 100) for _ in range(20)]
    assert np.mean(found) == pytest.approx(0.05, abs=0.02)
    same = rng.integers(0, 100, 5000)
    assert ndb(same, same, 100) == 0


def test_bins_are_cells_of_the_training_images(real: RealImages, centres: np.ndarray) -> None:
    assert centres.shape == (COUNT, 784) and centres.dtype == np.float32
    owners = nearest_bin(real.train_images[KNOWN], centres)
    flat = real.train_images[KNOWN].reshape(1000, -1).astype(np.float32) / 255
    distances = ((flat[:50, None] - centres[None]) ** 2).sum(-1)
    np.testing.assert_array_equal(owners[:50], distances.argmin(1))
    assert np.bincount(owners, minlength=COUNT).min() > 10
    np.testing.assert_array_equal(bins(real.train_images[KNOWN], COUNT), centres)
    assert len(bins(real.train_images[:50], COUNT)) <= 5


def test_real_is_at_its_floor_and_collapse_is_not(real: RealImages, centres: np.ndarray) -> None:
    fresh, labels = real.train_images[FRESH], real.train_labels[FRESH]
    assert score(fresh, real, centres) <= 0.15
    first = np.array([np.flatnonzero(labels == k)[0] for k in range(10)])
    assert score(fresh[first[labels]], real, centres) > 0.9


@pytest.mark.parametrize("spoil", ["noise", "blur", "fewer classes"])
def test_it_grows_as_images_worsen(spoil: str, real: RealImages, centres: np.ndarray) -> None:
    fresh, labels = real.train_images[FRESH], real.train_labels[FRESH]
    noise = np.random.default_rng(0).normal(0, 1, fresh.shape)

    def images(strength: float) -> np.ndarray:
        if spoil == "noise":
            return np.clip(fresh + 100 * strength * noise, 0, 255).astype(np.uint8)
        if spoil == "blur":
            return gaussian_filter(fresh, (0, 2 * strength, 2 * strength, 0))
        return fresh[labels < 10 - 4 * strength]

    found = [score(images(strength), real, centres) for strength in (0, 0.5, 1, 2)]
    assert found[1:] == sorted(found[1:]) and found[-1] > found[0] + 0.3
    assert found[0] <= found[1] + 1 / COUNT  # of real images a bin differs by chance
    assert found[0] < found[2]


def test_its_score_stands_beside_that_of_test_images(real: RealImages, kept: Kept) -> None:
    first = np.array([np.flatnonzero(real.test_labels == k)[0] for k in range(10)])
    collapsed = real.test_images[first[real.test_labels]]
    sets = [Samples(images, None, 3) for images in (real.test_images, collapsed)]
    same, other = (ndb_scores([one], real, kept) for one in sets)
    assert same.value == pytest.approx(same.real) and same.key == "ndb_pixels_500"
    assert other.real == same.real and other.value > 2 * same.value  # type: ignore[operator]
    assert (same.space, same.judge, same.n) == ("pixels", None, 500)
