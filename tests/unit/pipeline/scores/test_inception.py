"""The Inception trunk without its weights: its size, and how images reach it."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline.code import closure
from pipeline.scores.inception import NO_LAST_LAYER, Inception, resize
from pipeline.scores.inception_network import LAST_LAYER, InceptionTrunk


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return InceptionTrunk().state_dict()


def test_the_trunk_has_the_published_size(state: dict[str, torch.Tensor]) -> None:
    # 21,785,568 as published without the last layer; folding saves one of batch norm's vectors
    assert sum(value.numel() for value in state.values()) == 21_785_568 - 17_216
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), dtype=np.uint8)
    seen: list[tuple[int, int]] = []
    inception = Inception(state, "test")
    features = inception.features(images, lambda *said: seen.append(said))
    assert features.shape == (2, 2048) and np.isfinite(features).all() and seen == [(2, 2)]
    assert inception.logits(features) is None
    assert inception.protocol()["judge_sha256"] == inception.digest


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 48, 3)])
def test_the_resize_is_tensorflow_1s(shape: tuple[int, int, int]) -> None:
    """Against sampling with an affine grid shifted by half a pixel less, as NVIDIA's FID does."""
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    theta = torch.eye(2, 3)
    theta[0, 2] = 1 / shape[1] - 1 / 299
    theta[1, 2] = 1 / shape[0] - 1 / 299
    where = functional.affine_grid(
        theta[None].repeat(2, 1, 1), [2, shape[2], 299, 299], align_corners=False
    )
    expected = functional.grid_sample(pixels, where, padding_mode="border", align_corners=False)
    expected = ((expected - 128) / 128).expand(-1, 3, -1, -1)
    torch.testing.assert_close(resize(images, torch.device("cpu")), expected, atol=1e-4, rtol=0)


def test_logits_need_the_last_layer(state: dict[str, torch.Tensor]) -> None:
    last = torch.randn(1008, 2048, generator=torch.Generator().manual_seed(0))
    inception = Inception(state | {LAST_LAYER: last}, "test")
    logits = inception.logits(np.ones((1, 2048), np.float32))
    assert logits is not None
    np.testing.assert_allclose(logits[0], last.sum(1).numpy(), rtol=1e-3, atol=1e-3)
    assert Inception(state, "test").no_logits == NO_LAST_LAYER
    assert Inception(state, "test").digest != inception.digest


def test_its_outputs_are_kept_by_its_weights_and_its_code(state: dict[str, torch.Tensor]) -> None:
    inception = Inception(state, "test")
    assert inception.identity == inception.digest
    assert "pipeline.scores.inception_network" in closure(inception.code)
    assert inception.protocol()["precision"] == "float32"
