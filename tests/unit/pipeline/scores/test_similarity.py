"""SSIM by its closed form, LPIPS against torchmetrics, and weights files that are not read."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from pipeline.errors import UserError
from pipeline.scores.inputs import RealImages
from pipeline.scores.similarity import Lpips, ssim_distance


def test_ssim_of_flat_images_has_a_closed_form() -> None:
    images = np.stack([np.full((28, 28, 1), value, np.uint8) for value in (51, 204)])
    a, b, c = 0.2, 0.8, 0.01**2
    expected = 1 - (2 * a * b + c) / (a * a + b * b + c)
    assert ssim_distance(images) == pytest.approx(expected, abs=1e-4)
    assert ssim_distance(images[[0, 0, 0]]) == pytest.approx(0, abs=1e-6)
    assert np.isnan(ssim_distance(images[:1]))
    with pytest.raises(UserError, match="6 pixels"):
        ssim_distance(images[:, :5, :5])


def test_ssim_of_drawn_pairs_estimates_that_of_all(real: RealImages) -> None:
    images = real.test_images[:40]
    assert ssim_distance(images, 300) == pytest.approx(ssim_distance(images, 10**6), rel=0.05)
    assert ssim_distance(images, 300, seed=1) != ssim_distance(images, 300)


def test_lpips_is_the_librarys(
    lpips: Lpips, real: RealImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchmetrics' own network and heads around the same trunk, on pairs of 64 pixels."""
    import torchmetrics.functional.image.lpips as library

    layers: list[nn.Module] = []
    for index, convolution in enumerate(lpips.trunk):
        layers += [nn.MaxPool2d(3, 2)] if index in (1, 2) else []
        layers += [convolution, nn.ReLU()]
    monkeypatch.setattr(library, "_get_tv_model_features", lambda *_: nn.Sequential(*layers))
    network = library._LPIPS(pretrained=True, net="alex").eval()
    pixels = np.repeat(real.test_images[:6], 3, axis=3)
    pixels = np.pad(pixels, ((0, 0), (18, 18), (18, 18), (0, 0)))  # 64 x 64: not resized
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        expected = network(x[:3], x[3:]).flatten()
    embedded = lpips.embed(pixels)
    found = (embedded[:3] - embedded[3:]).square().sum(1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert expected.min() > 1e-4


def test_the_mean_over_pairs_needs_no_pairs(lpips: Lpips, real: RealImages) -> None:
    images = real.test_images[:8]
    embedded = lpips.embed(images)
    expected = torch.pdist(embedded).square().mean()
    assert lpips.mean_distance(images) == pytest.approx(float(expected), rel=1e-4)
    assert lpips.mean_distance(images[[0, 0]]) == pytest.approx(0, abs=1e-6)
    assert np.isnan(lpips.mean_distance(images[:1]))
    assert lpips.protocol()["resize"] == "bilinear to 64 where smaller"


def test_both_grow_as_images_part(lpips: Lpips, real: RealImages) -> None:
    image = real.test_images[0].astype(float)
    noise = np.random.default_rng(0).normal(0, 1, image.shape)
    for spoilt in (
        [image + strength * noise for strength in (0, 20, 50, 100)],
        [gaussian_filter(image, (sigma, sigma, 0)) for sigma in (0, 0.7, 1.5, 3)],
    ):
        pairs = [np.stack([image, one]).clip(0, 255).astype(np.uint8) for one in spoilt]
        for distance in (ssim_distance, lpips.mean_distance):
            found = [distance(pair) for pair in pairs]
            assert found[0] == pytest.approx(0, abs=1e-6)
            assert found == sorted(found) and found[1] > 1e-4


def test_a_negative_head_is_another_version(lpips: Lpips) -> None:
    state = {name: value.clone() for name, value in lpips.state_dict().items()}
    state["heads.2"][5] = -1
    with pytest.raises(UserError, match="a head is negative"):
        Lpips(state)
