"""Every score of a stack, of two digits."""

import numpy as np
import pytest

from pipeline.scores import levelwise
from pipeline.scores.asked import asked
from pipeline.scores.evaluation import drawn_sets, stack_scores
from pipeline.scores.inputs import RealImages
from pipeline.scores.lent import Means
from sgan.stack import Stack
from tests import lighter
from tests.lighter import SETTINGS
from tests.stacks import random_stack

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("few_pairs", "few_subsets")]


@pytest.fixture
def stack() -> Stack:
    """Two levels for two digits."""
    return random_stack(2, width=0.25)


def test_every_score_of_a_stack(
    stack: Stack, few: RealImages, lent: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    lighter.few_draws(monkeypatch)
    monkeypatch.setattr(levelwise, "_SHARES_DRAWS", 3)
    samples = drawn_sets(stack, SETTINGS, few)
    assert [one.seed for one in samples] == [1, 2] and len(samples[0].images) == 100
    np.testing.assert_array_equal(samples[0].labels, asked([200, 200], 0, 100))
    scores = stack_scores(stack, samples, few, SETTINGS, lent)
    keys = [score.key for score in scores]
    assert len(keys) == len(set(keys)) == 41
    assert {score.level for score in scores if score.metric == "q_explained"} == {0, 1}
    own = {score.n for score in scores if score.metric in ("entropy", "q_explained")}
    assert own == {100}  # no more samples than were asked for
    assert {s.varies for s in scores if s.metric == "diversity"} == {"all z", "z_0", "z_1"}
    for score in scores:
        assert score.metric and score.unit and score.n, score.key
        assert score.protocol["batch_norm"] == "running", score.key
        assert score.protocol["ema"] == "level 1 (half-life 500 images)", score.key
    again = stack_scores(stack, samples, few, SETTINGS, lent)  # all that is kept from the cache
    assert [(s.value, s.sd, s.real, s.real_sd) for s in again] == [
        (s.value, s.sd, s.real, s.real_sd) for s in scores
    ]
