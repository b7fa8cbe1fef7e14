"""Level-wise scores: at their floor where G returns real features, else far from it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.scores import levelwise
from pipeline.scores.diversity import kept_reference
from pipeline.scores.inputs import Kept, RealImages
from pipeline.scores.judge import Judge
from pipeline.scores.levelwise import (
    SELF,
    hierarchy,
    level_scores,
    noise_diversity,
    shares_shape,
    variance_scores,
)
from pipeline.scores.score import Score
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack

COUNT = 300
KEYS = {
    "level1/frechet_independent",
    "level0/frechet_independent",
    "level0/frechet_joint",
    "level1/cond_independent",
    "level0/cond_independent",
    "level0/cond_joint",
    "level1/q_explained_independent",
    "level0/q_explained_independent",
    "level0/q_explained_joint",
}


def random_stack() -> Stack:
    """Two levels for digits with random weights."""
    torch.manual_seed(3)
    levels = (LevelConfig(z_dim=4), LevelConfig(z_dim=4, ema_half_life_images=500))
    stack = Stack(StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(cut=("fc",)), levels))
    for parameter in stack.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter)
    return stack.eval()


@pytest.fixture
def stack() -> Stack:
    """A fresh one, for a test to change."""
    return random_stack()


@pytest.fixture(scope="module")
def random_scores(real: RealImages, judge: Judge) -> dict[str, Score]:
    """Level-wise scores of the stack with random weights."""
    return by_key(level_scores(random_stack(), real, judge, COUNT))


def by_key(scores: list[Score]) -> dict[str, Score]:
    return {score.key: score for score in scores}


def encoded(stack: Stack, images: np.ndarray) -> list[Tensor]:
    with torch.no_grad():
        pixels = torch.from_numpy(images.copy()).permute(0, 3, 1, 2)
        return stack.encoder.encode(stack.encoder.to_h0(pixels))


def in_turn(rows: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """A `generate` that gives these rows one after the other, from the first again at their end."""
    given = 0

    def generate(cond: Tensor, z: Tensor) -> Tensor:
        nonlocal given
        start = given % len(rows)
        given += len(cond)
        assert start + len(cond) <= len(rows)
        return rows[start : start + len(cond)]

    return generate


def test_generators_that_return_real_features_are_at_the_floor(
    stack: Stack, real: RealImages, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training images in place of samples: every distance equals its own floor."""
    h = encoded(stack, real.train_images[:COUNT])
    for i in (0, 1):
        monkeypatch.setattr(stack.level(i), "generate", in_turn(h[i]))
    scores = by_key(level_scores(stack, real, judge, COUNT))
    assert set(scores) == KEYS
    for key in (key for key in KEYS if "frechet" in key):
        assert scores[key].value == pytest.approx(scores[key].real, rel=1e-3), key
    own = encoded(stack, real.test_images[:COUNT])
    for i in (0, 1):
        monkeypatch.setattr(stack.level(i), "generate", in_turn(own[i]))
    same = by_key(level_scores(stack, real, judge, COUNT))
    for key in (key for key in KEYS if "frechet" in key):
        assert same[key].value == pytest.approx(0, abs=1e-3), key
    assert same["level0/cond_independent"].value == pytest.approx(1, abs=1e-4)
    assert same["level0/cond_independent"].real == pytest.approx(1, abs=1e-4)
    assert same["level1/cond_independent"].value == pytest.approx(
        same["level1/cond_independent"].real, rel=1e-5
    )


def test_random_generators_are_far_from_it(random_scores: dict[str, Score], judge: Judge) -> None:
    scores = random_scores
    assert set(scores) == KEYS
    for key in (key for key in KEYS if "frechet" in key):
        score = scores[key]
        assert score.value > 10 * score.real and score.better == "lower", key  # type: ignore[operator]
        judged = "level0" in key
        assert score.protocol["judge"].startswith(judge.name if judged else "E, Q"), key
    assert scores["level0/frechet_joint"].protocol["judge_sha256"] == judge.digest
    assert scores["level1/q_explained_independent"].value < 0.1  # type: ignore[operator]
    assert scores["level0/cond_joint"].value < 0.5  # type: ignore[operator]


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


def test_scores_say_which_level_and_what_it_was_given(random_scores: dict[str, Score]) -> None:
    one, other = (random_scores[k] for k in ("level0/frechet_joint", "level1/cond_independent"))
    assert (one.metric, one.level, one.given, one.judge) == ("frechet", 0, "joint", "judge CNN")
    assert (other.metric, other.level, other.judge, other.n) == ("cond_nats", 1, SELF, COUNT)
    assert other.unit == "nats" and one.name == "Fréchet distance of ĥ_0 to h_0 (judge CNN, joint)"


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
