"""Level-wise scores: at their floor where G returns real features, else far from it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.scores.inputs import RealImages
from pipeline.scores.judge import Judge
from pipeline.scores.levelwise import (
    SELF,
    level_scores,
)
from pipeline.scores.score import Score
from sgan.stack import Stack
from tests.stacks import random_stack

pytestmark = pytest.mark.integration

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


def test_scores_say_which_level_and_what_it_was_given(random_scores: dict[str, Score]) -> None:
    one, other = (random_scores[k] for k in ("level0/frechet_joint", "level1/cond_independent"))
    assert (one.metric, one.level, one.given, one.judge) == ("frechet", 0, "joint", "judge CNN")
    assert (other.metric, other.level, other.judge, other.n) == ("cond_nats", 1, SELF, COUNT)
    assert other.unit == "nats" and one.name == "Fréchet distance of ĥ_0 to h_0 (judge CNN, joint)"
