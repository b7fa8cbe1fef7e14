"""What tests of scores share: a cache for what depends on the real digits and their judge only."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.scores.feature_cache import FeatureCache
from pipeline.scores.inputs import RealImages
from tests import lighter


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """A cache of the session, as a project has one."""
    return FeatureCache(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """SSIM over 100 pairs of all groups: enough where it is not the subject."""
    lighter.few_pairs(monkeypatch)


@pytest.fixture
def few_subsets(monkeypatch: pytest.MonkeyPatch) -> None:
    """KID over 20 subsets, not 100: enough where it is not the subject."""
    lighter.few_subsets(monkeypatch, 20)


@pytest.fixture(scope="module")
def few(real: RealImages) -> RealImages:
    """Two digits: 400 images to train on, 100 to test on."""
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
