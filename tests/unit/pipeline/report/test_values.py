"""What is said beside a number: the change and its worth, the bar, where it stands."""

from dataclasses import replace

import pytest

from pipeline.report.values import (
    Change,
    Gauge,
    change,
    class_bars,
    gauge,
    protocol_lines,
    standing,
)
from pipeline.scores.score import Score

GAN_TEST = Score("GAN-test", "gan_test", 0.9987, real=0.9926)
FID = Score("FID (judge CNN)", "fid_judge_10k", 0.249, real=0.0273, better="lower")
DIVERSITY = Score("Diversity", "diversity_pixels", 0.946, real=0.997, better="near real")
MISSING = Score("FID (Inception)", "fid_10k", None, why="no weights")


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (replace(GAN_TEST, value=0.9, sd=0.01), GAN_TEST, Change("+0.0987 better", "good")),
        (replace(FID, value=0.1, sd=0.01), FID, Change("+0.149 worse", "bad")),
        (replace(FID, value=0.24, sd=0.01), FID, Change("+0.009 ≈", "dim")),
        (replace(GAN_TEST, value=0.9), GAN_TEST, Change("+0.0987 ?", "dim")),
        (GAN_TEST, GAN_TEST, Change("the same", "dim")),
        (replace(FID, protocol={"judge_sha256": "b"}), FID, Change("another judge", "dim")),
        (MISSING, FID, None),
        (FID, MISSING, None),
        (None, FID, None),
    ],
)
def test_a_change_and_its_worth(before: Score | None, now: Score, said: Change | None) -> None:
    assert change(before, now) == said


def test_the_bar_ends_at_the_larger_of_score_and_real() -> None:
    assert gauge(replace(DIVERSITY, value=0.4985)) == Gauge(pytest.approx(50), 100, False)
    assert gauge(FID) == Gauge(100, pytest.approx(10.96, abs=0.01), True)
    assert gauge(replace(FID, value=0.5), largest=1.0) == Gauge(50, pytest.approx(2.73), True)


def test_a_bar_stays_inside_its_frame_and_needs_two_numbers() -> None:
    assert gauge(replace(DIVERSITY, value=-0.1)) == Gauge(0, 100, False)
    assert gauge(replace(DIVERSITY, real=None)) is None
    assert gauge(MISSING) is None
    assert gauge(replace(FID, value=0.0, real=0.0)) is None


def test_where_a_score_stands() -> None:
    assert standing(GAN_TEST) == "101% of that · higher is better"
    assert standing(FID) == "9.1 times this floor · lower is better"
    assert standing(DIVERSITY) == "95% of that · nearer real"
    assert standing(replace(FID, real=0.0)) == "lower is better"
    assert standing(replace(FID, real=1e-9)) == "far above this · lower is better"
    assert standing(MISSING) == "higher is better"


def test_classes_as_bars() -> None:
    score = replace(GAN_TEST, per_class={"0": 0.8, "1": 0.2, "2": -0.1})
    assert class_bars(score) == [("0", 0.8, 100), ("1", 0.2, pytest.approx(25)), ("2", -0.1, 0)]
    assert class_bars(replace(score, per_class={"0": 0.0})) == [("0", 0.0, 0)]
    assert class_bars(GAN_TEST) == []


def test_a_protocol_is_text() -> None:
    score = replace(GAN_TEST, repeats=3, protocol={"judge": "CNN", "seeds": [1, 2], "ema": None})
    assert protocol_lines(score) == {
        "judge": "CNN",
        "seeds": "[1, 2]",
        "ema": "null",
        "sd over": "3",
    }
