"""The judge: it learns, is kept and found again, and refuses what it cannot read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.scores.feature_cache import FeatureCache
from pipeline.scores.inputs import RealImages
from pipeline.scores.judge import Judge, kept_judge, train_judge


def small(real: RealImages, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rows = np.random.default_rng(0).permutation(len(real.train_images))[:count]
    return real.train_images[rows], real.train_labels[rows]


def test_a_seed_settles_the_weights_and_global_random_state_is_left_alone(real: RealImages) -> None:
    images, labels = small(real)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one = train_judge(images, labels, num_classes=10, epochs=0.5, seed=1, batch=50)
    assert torch.equal(torch.rand(1), expected)
    two = train_judge(images, labels, num_classes=10, epochs=0.5, seed=1, batch=50)
    other = train_judge(images, labels, num_classes=10, epochs=0.5, seed=2, batch=50)
    assert one.digest == two.digest != other.digest


def test_progress_ends_at_the_whole(real: RealImages) -> None:
    images, labels = small(real)
    told: list[tuple[int, int, float]] = []
    train_judge(
        images, labels, num_classes=10, epochs=1, batch=50, progress=lambda *said: told.append(said)
    )
    assert [done for done, _, _ in told] == [50, 100, 150, 200]
    assert {all_ for _, all_, _ in told} == {200} and told[-1][2] > 0


def test_a_small_set_has_forty_steps_an_epoch(real: RealImages) -> None:
    told: list[tuple[int, int, float]] = []
    train_judge(
        real.train_images,
        real.train_labels,
        num_classes=10,
        epochs=0.05,
        progress=lambda *said: told.append(said),
    )
    assert [done for done, _, _ in told] == [50, 100]


@pytest.mark.parametrize("size", [28, 64, 128])
def test_colour_and_larger_images(size: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, size, size, 3), dtype=np.uint8)
    judge = train_judge(images, np.arange(12) % 3, num_classes=3, epochs=1, batch=6)
    features, logits = judge.outputs(images)
    assert features.shape == (12, 128) and logits.shape == (12, 3)
    assert np.isfinite(logits).all()


def test_it_is_kept_by_data_and_settings(real: RealImages, tmp_path: Path) -> None:
    images, labels = small(real)
    mine = replace(real, train_images=images, train_labels=labels)
    kept = FeatureCache(tmp_path)

    def get(digest: str = "a", seed: int = 0) -> Judge:
        return kept_judge(replace(mine, digest=digest), kept, epochs=0.5, seed=seed)

    first = get()
    assert first.digest == train_judge(images, labels, num_classes=10, epochs=0.5).digest
    before = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    second = get()
    assert (second.digest, second.facts) == (first.digest, first.facts)
    np.testing.assert_array_equal(
        second.logits(real.test_images[:20]), first.logits(real.test_images[:20])
    )
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before
    get(digest="b"), get(seed=1)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("images", "labels", "epochs", "said"),
    [
        (np.zeros((4, 28, 28), np.uint8), [0, 1, 0, 1], 1, "N, H, W, C"),
        (np.zeros((4, 28, 28, 1), np.float32), [0, 1, 0, 1], 1, "uint8"),
        (np.zeros((4, 28, 28, 2), np.uint8), [0, 1, 0, 1], 1, "1 or 3 channels"),
        (np.zeros((4, 28, 28, 1), np.uint8), [0, 1, 2, 1], 1, "0..1"),
        (np.zeros((4, 28, 28, 1), np.uint8), [0, -1, 0, 1], 1, "0..1"),
        (np.zeros((4, 28, 28, 1), np.uint8), [0, 1, 0], 1, "expected 4 integers"),
        (np.zeros((4, 28, 28, 1), np.uint8), [0.5, 1, 0, 1], 1, "integers"),
        (np.zeros((4, 28, 28, 1), np.uint8), [0, 1, 0, 1], 0, "above 0"),
    ],
)
def test_bad_input(images: np.ndarray, labels: list[float], epochs: float, said: str) -> None:
    with pytest.raises(UserError, match=said):
        train_judge(images, np.array(labels), num_classes=2, epochs=epochs)


def test_images_of_another_shape(judge: Judge) -> None:
    with pytest.raises(UserError, match="reads 28x28x1, got 32x32x3"):
        judge.logits(np.zeros((1, 32, 32, 3), np.uint8))
