"""Fréchet distance against closed forms and torchmetrics."""

import pytest
import torch

from sgan.metrics.frechet import Moments, frechet_distance, level_distance, moments


def draw(count: int, size: int, seed: int) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed)).double()


def test_gaussians_with_diagonal_covariance_have_a_closed_form() -> None:
    a = Moments(2, torch.tensor([0.0, 1.0]).double(), torch.diag(torch.tensor([4.0, 9.0]).double()))
    b = Moments(
        2, torch.tensor([3.0, 1.0]).double(), torch.diag(torch.tensor([1.0, 16.0]).double())
    )
    # |mean difference|^2 + sum (sd_a - sd_b)^2
    assert frechet_distance(a, b) == pytest.approx(9 + (2 - 1) ** 2 + (3 - 4) ** 2, abs=1e-9)


def test_one_dimension() -> None:
    x = draw(500, 1, 0)
    assert frechet_distance(moments(x), moments(3 * x + 2)) == pytest.approx(
        float((2 * x.mean() + 2) ** 2 + (2 * x.std()) ** 2), rel=1e-9
    )


def test_it_equals_torchmetrics_on_correlated_features() -> None:
    from torchmetrics.image.fid import _compute_fid

    mixing = draw(8, 8, 1)
    a, b = moments(draw(400, 8, 2) @ mixing), moments(draw(300, 8, 3) + 0.3)
    expected = float(_compute_fid(a.mean, a.covariance, b.mean, b.covariance))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-6)


def test_it_is_zero_for_the_same_set_even_with_fewer_images_than_features() -> None:
    few = moments(draw(10, 64, 4))
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-6)


def by_covariance(few: Moments) -> Moments:
    """The same with the covariance itself."""
    assert few.root is not None
    return Moments(few.count, few.mean, few.root.T @ few.root)


def test_fewer_images_than_features_change_the_way_but_not_the_result() -> None:
    few, many = moments(draw(20, 32, 10)), moments(draw(200, 32, 11) * 2)
    assert few.root is not None and many.root is None
    slow = by_covariance(few)
    expected = frechet_distance(slow, many)
    for pair in ((few, many), (many, few), (many, slow)):
        assert frechet_distance(*pair) == pytest.approx(expected, rel=1e-6)
    assert few.trace == pytest.approx(slow.trace, rel=1e-12)


def test_two_sets_of_fewer_images_than_features_never_meet_a_covariance() -> None:
    """Of maps of 64 x 64 x 64 it would take half a terabyte."""
    a, b = moments(draw(20, 32, 12)), moments(draw(15, 32, 13) * 2)
    expected = frechet_distance(by_covariance(a), by_covariance(b))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), rel=1e-12)
    assert frechet_distance(a, by_covariance(b)) == pytest.approx(expected, rel=1e-6)
    maps = draw(6, 2**18, 14).reshape(6, 64, 64, 64)
    few = moments(maps)
    assert few.covariance is None and few.root is not None and few.root.shape == (6, 2**18)
    assert level_distance(maps[:3], maps[3:]) > 1 > 1e-9 > level_distance(maps, maps)


def test_it_grows_with_noise() -> None:
    x = draw(2000, 16, 5)
    noise = draw(2000, 16, 6)
    distances = [frechet_distance(moments(x), moments(x + s * noise)) for s in (0, 0.1, 0.5, 1, 2)]
    assert distances == sorted(distances) and distances[1] < 0.01 < 1 < distances[-1]


@pytest.mark.parametrize("spoil", ["noise", "blur", "fewer classes"])
def test_level_distance_grows_as_features_worsen(spoil: str) -> None:
    """Maps of ten classes, each a pattern of its own and its samples' own deviation."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(2000) % 10
    centres = 2 * torch.randn(10, 4, 6, 6, generator=generator)
    deviation, noise = torch.randn(2, 2000, 4, 6, 6, generator=generator)
    maps = centres[labels] + deviation
    fresh = centres[labels] + torch.randn(2000, 4, 6, 6, generator=generator)

    def spoilt(strength: float) -> torch.Tensor:
        if spoil == "noise":
            return fresh + strength * noise
        if spoil == "blur":
            smooth = torch.nn.functional.avg_pool2d(fresh, 3, 1, 1)
            return fresh + min(1.0, strength / 2) * (smooth - fresh)
        return fresh[labels < 10 - 4 * strength]

    found = [level_distance(maps, spoilt(strength)) for strength in (0, 0.5, 1, 2)]
    assert found == sorted(found) and found[-1] > 3 * found[0]


def test_level_distance_has_no_unit() -> None:
    real, sampled = draw(1000, 8, 7), draw(1000, 8, 8) * 1.5
    assert level_distance(1000 * real, 1000 * sampled) == pytest.approx(
        level_distance(real, sampled), rel=1e-9
    )
    maps = draw(100, 12, 9).reshape(100, 3, 2, 2)
    assert level_distance(maps, maps) == pytest.approx(0, abs=1e-6)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="two feature vectors"):
        moments(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="not finite"):
        moments(torch.tensor([[0.0, float("nan")], [1.0, 1.0]]))
    with pytest.raises(ValueError, match="sizes differ"):
        frechet_distance(moments(draw(5, 3, 0)), moments(draw(5, 4, 0)))
    with pytest.raises(ValueError, match="do not vary"):
        level_distance(torch.ones(4, 2), draw(4, 2, 0))
