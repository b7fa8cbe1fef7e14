"""Fixtures: the real MNIST subset, a judge trained on it once, and figures of both that are kept.

A plugin of pytest, which tests/conftest.py names; what is large is imported when it is asked for.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from pipeline.scores.feature_cache import FeatureCache
    from pipeline.scores.inputs import RealImages
    from pipeline.scores.judge import Judge
    from pipeline.scores.lent import Means
    from pipeline.scores.similarity import Lpips

CLASSES = tuple("0123456789")


@pytest.fixture(scope="session")
def real(mnist_small: Path) -> RealImages:
    """2,000 training and 500 test images of the real MNIST, equally many of each digit."""
    from pipeline.scores.inputs import RealImages

    def read(name: str, offset: int) -> np.ndarray:
        content = gzip.decompress((mnist_small / f"{name}.gz").read_bytes())
        return np.frombuffer(content, np.uint8, offset=offset)

    def images(split: str) -> np.ndarray:
        return read(f"{split}-images-idx3-ubyte", 16).reshape(-1, 28, 28, 1)

    def labels(split: str) -> np.ndarray:
        return read(f"{split}-labels-idx1-ubyte", 8).astype(np.int64)

    return RealImages(
        images("train"), labels("train"), images("t10k"), labels("t10k"), CLASSES, "mnist-small"
    )


@pytest.fixture(scope="module")
def few(real: RealImages) -> RealImages:
    """Two digits: 400 images to train on, 100 to test on."""
    from pipeline.scores.inputs import RealImages

    train, test = (np.flatnonzero(y < 2) for y in (real.train_labels, real.test_labels))
    return RealImages(
        real.train_images[train],
        real.train_labels[train],
        real.test_images[test],
        real.test_labels[test],
        ("0", "1"),
        "two digits",
    )


@pytest.fixture(scope="module")
def few_small(few: RealImages) -> RealImages:
    """The same at 14 pixels: a quarter of the work, where a judge's skill is not the subject."""
    train, test = (
        np.ascontiguousarray(images[:, ::2, ::2]) for images in (few.train_images, few.test_images)
    )
    return replace(few, train_images=train, test_images=test, digest="two small digits")


@pytest.fixture(scope="session")
def judge(real: RealImages, once: Callable[[str, Callable[[Path], None]], Path]) -> Judge:
    """A judge with about 96.5 % test accuracy."""
    from pipeline.scores.feature_cache import FeatureCache
    from pipeline.scores.judge import kept_judge

    def get(folder: Path) -> Judge:
        return kept_judge(real, FeatureCache(folder), epochs=2)

    def make(folder: Path) -> None:
        get(folder)

    return get(once("judge", make))


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """A cache of the session, as a project has one."""
    from pipeline.scores.feature_cache import FeatureCache

    return FeatureCache(tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="session")
def lpips() -> Lpips:
    """A random trunk, and the published heads as torchmetrics ships them."""
    import torch
    import torchmetrics.functional.image.lpips as library
    from torch import nn

    from pipeline.scores.similarity import CONVOLUTIONS, Lpips

    heads = torch.load(
        Path(library.__file__).parent / "lpips_models" / "alex.pth", map_location="cpu"
    )
    torch.manual_seed(0)
    state = {}
    for index, (inputs, outputs, kernel, stride, padding) in enumerate(CONVOLUTIONS):
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        state[f"trunk.{index}.weight"] = convolution.weight.detach()
        state[f"trunk.{index}.bias"] = convolution.bias.detach()
        state[f"heads.{index}"] = heads[f"lin{index}.model.1.weight"].reshape(-1)
    return Lpips(state)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-level stack for 28x28x1 with random weights: sampling works, digits it has none."""
    import torch

    from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
    from sgan.stack import Stack
    from sgan.weights import save_stack

    torch.manual_seed(3)
    level = LevelConfig(z_dim=4, batch_size=10, total_images=10, width=0.25)
    config = StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(cut=("fc",)), (level, level))
    stack = Stack(config).eval()
    for parameter in stack.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter)
    path = tmp_path_factory.mktemp("weights") / "stack.safetensors"
    save_stack(path, stack, {})
    return path


@pytest.fixture(scope="module")
def lent(tmp_path_factory: pytest.TempPathFactory) -> Means:
    """Caches of a module, and no weights from elsewhere."""
    from pipeline.scores.feature_cache import FeatureCache
    from pipeline.scores.lent import Means
    from tests.lighter import no_weights

    folder = tmp_path_factory.mktemp("lent")
    caches = FeatureCache(folder), FeatureCache(folder)
    return Means(*caches, no_weights, no_weights, no_weights)


@pytest.fixture
def few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """SSIM over 100 pairs of all groups: enough where it is not the subject."""
    from tests import lighter

    lighter.few_pairs(monkeypatch)


@pytest.fixture
def few_subsets(monkeypatch: pytest.MonkeyPatch) -> None:
    """KID over 20 subsets, not 100: enough where it is not the subject."""
    from tests import lighter

    lighter.few_subsets(monkeypatch, 20)
