"""The gate: one condition at a time, against closed forms and against equal models."""

import math
from dataclasses import replace

import numpy as np
import pytest

from pipeline.params.settings import PromoteConfig as Rule
from pipeline.scores import gate
from pipeline.scores.gate import alone, compare
from pipeline.scores.naming import ALL_Z, scored
from pipeline.scores.score import Score

PROTOCOL = {"judge_sha256": "a" * 64, "n_fake": 10_000, "n_real": 10_000, "reference": "test"}


def scores(fid: float = 1.0, sd: float | None = 0.02, repeats: int = 3, **others: float) -> list:
    """An evaluation; `others` by the name of the metric: gan_test, recall, diversity, z_0."""
    values = {"gan_test": 0.99, "recall": 0.9, "diversity": 0.9, "z_0": 0.5, **others}
    common = {"judge": "judge CNN", "n": 10_000, "protocol": PROTOCOL, "sd": sd}
    found = [scored("fid", fid, slug="judge", **common)]
    found += [scored("gan_test", values["gan_test"], **common)]
    found += [scored("recall", values["recall"], slug="judge", **common)]
    for varies, name in ((ALL_Z, "diversity"), ("z_0", "z_0")):
        place = {**common, "space": "pixels", "varies": varies}
        found += [scored("diversity", values[name], **place)]
    return [replace(score, repeats=repeats) for score in found]


def failing(old: list[Score], new: list[Score], rule: Rule | None = None) -> str:
    return compare(old, new, rule or Rule()).why


def test_a_clearly_better_stack_is_promoted() -> None:
    verdict = compare(scores(1.0), scores(0.4), Rule())
    assert (verdict.outcome, verdict.why) == ("promoted", "")
    assert len(verdict.rows) == 7


def test_the_same_stack_twice_and_one_better_by_noise_are_kept() -> None:
    for fid in (1.0, 0.85):
        verdict = compare(scores(1.0), scores(fid), Rule())
        assert (verdict.outcome, verdict.why) == ("kept", "fid")


def test_the_statistic_is_that_of_the_equation() -> None:
    old, new = scores(2.0, sd=0.2, repeats=4)[0], scores(1.0, sd=0.05, repeats=5)[0]
    spread = math.sqrt(2 * 0.3**2 + 0.1**2 / 4 + 0.05**2 / 5)
    assert gate.statistic(old, new, 0.3) == pytest.approx(math.log(2) / spread)
    assert gate.quantile(Rule(alpha=0.05, training_df=16)) == pytest.approx(1.7459, abs=1e-4)
    assert gate.quantile(Rule(alpha=0.01, training_df=10**9)) == pytest.approx(2.3263, abs=1e-4)


def test_equal_models_pass_as_seldom_as_alpha_says() -> None:
    rule, rng = Rule(alpha=0.05, training_sd=0.2, training_df=10**6), np.random.default_rng(1)
    drawn = np.exp(rng.normal(0, 0.2, (2000, 2)))
    passed = [
        gate.closer(scores(old, sd=None)[0], scores(new, sd=None)[0], rule).holds
        for old, new in drawn.tolist()
    ]
    assert np.mean(passed) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(
    ("name", "better", "worse"),
    [
        ("gan_test", 0.985, 0.97),
        ("recall", 0.86, 0.8),
        ("diversity", 0.86, 0.8),
        ("z_0", 0.46, 0.4),
    ],
)
def test_a_smaller_distance_does_not_pay_for_what_was_lost(
    name: str, better: float, worse: float
) -> None:
    assert failing(scores(1.0), scores(0.4, **{name: better})) == ""
    told = failing(scores(1.0), scores(0.4, **{name: worse}))
    assert told and "fid" not in told


def test_scores_of_another_judge_or_of_one_seed_decide_nothing() -> None:
    other = [score.with_protocol(judge_sha256="b" * 64) for score in scores(0.4)]
    verdict = compare(scores(1.0), other, Rule())
    assert verdict.outcome == "kept" and verdict.why == "protocol"
    assert verdict.rows[0].sides[1] == f"judge_sha256 {'b' * 12}"
    assert compare(scores(1.0), scores(0.4, repeats=1), Rule()).outcome == "undecided"


def test_recall_by_other_neighbours_is_not_compared() -> None:
    old, new = (
        [score.with_protocol(neighbours=k) for score in scores(fid)]
        for fid, k in ((1.0, 5), (0.4, 20))
    )
    assert failing(old, new) == "protocol"
    assert failing(old, [score.with_protocol(neighbours=5) for score in new]) == ""


def test_what_was_not_measured_decides_nothing() -> None:
    missing = [score for score in scores(0.4) if score.metric != "recall"]
    assert compare(scores(1.0), missing, Rule()).outcome == "undecided"
    assert alone(missing).outcome == "kept" and "recall" in alone(missing).rows[0].sides[1]
    assert alone(scores(0.4)).outcome == "promoted"
    assert compare(scores(1.0), scores(0.0), Rule()).outcome == "undecided"
