"""Precision, recall, density and coverage on sets small enough to count by hand, and copies."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from pipeline.errors import UserError
from pipeline.scores import neighbours
from pipeline.scores.neighbours import memorisation, memorisation_gap, nearest, prdc

LINE = np.array([[0.0], [1.0], [2.0], [3.0]], np.float32)  # radii to the nearest: all 1


def test_by_hand() -> None:
    fake = np.array([[0.5], [0.6], [2.4], [9.0]], np.float32)
    found = prdc(LINE, fake, neighbours=1)
    # 0.5 and 0.6 lie in the balls of 0 and 1, 2.4 in those of 2 and 3, 9 in none
    assert found.precision == pytest.approx(3 / 4)
    assert found.density == pytest.approx(6 / 4)
    assert found.coverage == 1.0
    # fake radii: 0.1, 0.1, 1.8, 6.6; 1, 2 and 3 lie within 1.8 of 2.4; 0 in no ball
    assert found.recall == pytest.approx(3 / 4)


def test_dropping_and_outliers() -> None:
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.normal(0, 1, (300, 8)), rng.normal(30, 1, (300, 8))])
    real = real.astype(np.float32)
    same = np.concatenate([rng.normal(0, 1, (300, 8)), rng.normal(30, 1, (300, 8))])
    good = prdc(real, same.astype(np.float32))
    assert min(good.precision, good.recall, good.coverage) > 0.85
    assert good.density == pytest.approx(1, abs=0.15)
    half = prdc(real, rng.normal(0, 1, (600, 8)).astype(np.float32))
    assert half.precision > 0.85 and half.recall < 0.55 and half.coverage < 0.55
    far = prdc(real, rng.normal(500, 1, (600, 8)).astype(np.float32))
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)


def test_one_real_outlier_fools_precision_but_not_density() -> None:
    """The toy of the density and coverage paper: an outlier's ball swallows fakes about it."""
    rng = np.random.default_rng(1)
    real = np.concatenate([rng.normal(0, 1, (500, 64)), np.full((1, 64), 3.0)]).astype(np.float32)
    fake = rng.normal(3, 1, (500, 64)).astype(np.float32)
    found = prdc(real, fake)
    assert found.precision > 0.9  # fooled
    assert found.density < 0.3 and found.coverage < 0.05


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    real, fake = rng.normal(size=(2, 150, 4)).astype(np.float32)
    whole, near = prdc(real, fake), nearest(fake, real)
    monkeypatch.setattr(neighbours, "CHUNK", 7)
    assert prdc(real, fake) == whole
    np.testing.assert_allclose(nearest(fake, real)[0], near[0], rtol=1e-5)
    np.testing.assert_array_equal(nearest(fake, real)[1], near[1])
    distances = np.linalg.norm(fake[:, None] - real[None], axis=-1)
    np.testing.assert_array_equal(near[1], distances.argmin(1))
    np.testing.assert_allclose(near[0], distances.min(1), rtol=1e-4)


def test_copies_are_found() -> None:
    rng = np.random.default_rng(3)
    train = rng.normal(size=(500, 16)).astype(np.float32)
    test = rng.normal(size=(200, 16)).astype(np.float32)
    usual = nearest(test, train)[0]
    fresh = memorisation(rng.normal(size=(200, 16)).astype(np.float32), train, usual)
    assert fresh.ratio == pytest.approx(1, abs=0.05) and fresh.copies < 0.05
    copied = memorisation(train[:100] + 0.01, train, usual)
    assert copied.ratio < 0.05 and copied.copies == 1.0
    np.testing.assert_array_equal(copied.rows, np.arange(100))
    with pytest.raises(UserError, match="held-out"):
        memorisation(test, train, np.zeros(10, np.float32))


def test_the_gap_sees_copies_and_blur_does_not_fool_it() -> None:
    rng = np.random.default_rng(4)
    train, unseen, fresh = rng.normal(size=(3, 2000, 16)).astype(np.float32)
    gaps = [
        memorisation_gap(share * train[:200] + (1 - share) * fresh[:200], train, unseen)
        for share in (0, 0.5, 0.9, 1)
    ]
    assert gaps == sorted(gaps)
    assert gaps[0] == pytest.approx(0, abs=0.04) and gaps[-1] == pytest.approx(1, abs=1e-3)
    blurred = 0.6 * fresh[:200]  # towards the mean: nearer to everything
    usual = nearest(unseen, train)[0]
    assert memorisation(blurred, train, usual).ratio < 0.9
    assert memorisation_gap(blurred, train, unseen) == pytest.approx(0, abs=0.04)
    with pytest.raises(UserError, match="2000 training images and 10 unseen"):
        memorisation_gap(fresh, train, unseen[:10])
    with pytest.raises(UserError, match="are the held-out images"):
        memorisation_gap(unseen, train, unseen)


@pytest.mark.parametrize("neighbours", [1, 5])
def test_it_equals_the_papers_formulas(neighbours: int) -> None:
    """Naeem et al.'s published program, in its own words: distances whole, k-th by partition."""
    rng = np.random.default_rng(5)
    real = rng.normal(size=(120, 6)).astype(np.float32)
    fake = (0.8 * rng.normal(size=(90, 6)) + 0.5).astype(np.float32)
    radius = {
        name: np.partition(cdist(points, points), neighbours, axis=1)[:, neighbours]
        for name, points in (("real", real), ("fake", fake))
    }
    distances = cdist(real, fake)
    inside = distances < radius["real"][:, None]
    found = prdc(real, fake, neighbours)
    assert found.precision == pytest.approx(inside.any(0).mean())
    assert found.recall == pytest.approx((distances < radius["fake"][None]).any(1).mean())
    assert found.density == pytest.approx(inside.sum(0).mean() / neighbours)
    assert found.coverage == pytest.approx((distances.min(1) < radius["real"]).mean())
    assert 0.1 < found.recall < 0.95 and 0.1 < found.coverage < 0.99


def test_refusals() -> None:
    with pytest.raises(UserError, match="do not fit"):
        prdc(LINE, np.zeros((4, 2), np.float32))
    with pytest.raises(UserError, match="more than 5"):
        prdc(LINE, LINE)
