"""Level-wise scores: at their floor where G returns real features, else far from it."""

import numpy as np
import pytest
import torch

from pipeline.scores import levelwise
from pipeline.scores.diversity import kept_reference
from pipeline.scores.inputs import Kept, RealImages
from pipeline.scores.judge import Judge
from pipeline.scores.levelwise import (
    hierarchy,
    noise_diversity,
    shares_shape,
    variance_scores,
)
from pipeline.scores.score import Score
from sgan.stack import Stack
from tests.stacks import random_stack


@pytest.fixture
def stack() -> Stack:
    """A fresh one, for a test to change."""
    return random_stack(width=0.25)


def by_key(scores: list[Score]) -> dict[str, Score]:
    return {score.key: score for score in scores}


def test_shares_sum_to_one_and_real_labels_have_theirs(stack: Stack, real: RealImages) -> None:
    scores = by_key(variance_scores(stack, real))
    assert set(scores) == {"variance_y", "variance_z1", "variance_z0"}
    assert sum(score.value for score in scores.values()) == pytest.approx(1)  # type: ignore[misc]
    assert 0.1 < scores["variance_y"].real < 0.5  # type: ignore[operator]
    assert scores["variance_z0"].real is None


@pytest.mark.usefixtures("few_pairs")
def test_of_many_classes_some_are_looked_at(
    stack: Stack, real: RealImages, judge: Judge, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a thousand classes are 64,000 images a seed, of a stack of three levels 512,000."""
    assert shares_shape(10, 2) == (10, 8) and shares_shape(100, 2) == (100, 8)
    assert shares_shape(1000, 2) == (256, 8) and shares_shape(1000, 3) == (32, 8)
    assert shares_shape(10, 4) == (10, 6) and shares_shape(2, 12)[1] == 2
    everyone = by_key(variance_scores(stack, real))["variance_y"]
    assert "classes" not in everyone.protocol and everyone.n == 640
    monkeypatch.setattr(levelwise, "_SHARES_IMAGES", 320)
    monkeypatch.setattr(levelwise, "_SHARES_CLASSES", 5)
    some = by_key(variance_scores(stack, real))["variance_y"]
    assert some.protocol["classes"] == "5 of 10, spread evenly" and some.n == 320
    monkeypatch.setattr(levelwise, "_STUDIED_CLASSES", 3)
    reference = kept_reference(real, judge, kept)
    (score, *_) = noise_diversity(stack, judge, reference)
    assert set(score.per_class) == {"0", "4", "9"} and score.n == 300
    assert score.protocol["classes"] == "3 of 10, spread evenly"


def test_one_noise_alone_differs_within_a_group(stack: Stack) -> None:
    y = torch.tensor([3, 5])
    images, groups = hierarchy(stack, y, 0, 4, seed=1)
    again, _ = hierarchy(stack, y, 0, 4, seed=1)
    assert images.shape == (8, 28, 28, 1) and groups.tolist() == [0] * 4 + [1] * 4
    np.testing.assert_array_equal(images, again)
    assert len(np.unique(images.reshape(8, -1), axis=0)) == 8
    generator = stack.level(0).generate
    stack.level(0).generate = lambda cond, z: generator(cond, 0 * z)  # type: ignore[method-assign]
    deaf, _ = hierarchy(stack, y, 0, 4, seed=1)  # a G_0 that ignores z_0
    assert len(np.unique(deaf.reshape(8, -1), axis=0)) == 2
