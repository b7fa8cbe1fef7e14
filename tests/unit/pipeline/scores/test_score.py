"""Scores: what they say, how they add up over seeds, and what the metric file gets."""

import math

import pytest

from pipeline.errors import UserError
from pipeline.scores.score import (
    Score,
    combine,
    incomparable,
    mean_sd,
    metrics,
    short,
    thousands,
    verdict,
)


def test_combine_is_mean_and_sd_over_seeds() -> None:
    runs = [
        Score("FID", "fid", value, per_class={"a": value, "b": 0.0}) for value in (1.0, 2.0, 6.0)
    ]
    both = combine(runs, seeds=[0, 1, 2])
    assert both.value == 3.0 and both.sd == pytest.approx(math.sqrt(7)) and both.repeats == 3
    assert both.per_class == {"a": 3.0, "b": 0.0} and both.protocol["seeds"] == [0, 1, 2]
    assert combine(runs[:1]).sd is None
    with pytest.raises(ValueError, match="cannot combine"):
        combine([runs[0], Score("KID", "kid", 1.0)])


def test_a_class_that_some_sets_lack_is_the_mean_over_the_others_and_named() -> None:
    runs = [
        Score("FID", "fid", 2.0, per_class=found)
        for found in ({"a": 2.0}, {"a": 1.0, "rare": 3.0}, {"a": 0.0, "rare": 5.0})
    ]
    both = combine(runs)
    assert both.per_class == {"a": 1.0, "rare": 4.0}
    assert both.protocol == {"classes_not_in_every_set": ["rare"]}
    assert "classes_not_in_every_set" not in combine(runs[1:]).protocol


def test_text() -> None:
    assert Score("FID", "fid", 3.14159, 0.021, real=11.2).text() == "3.142 ± 0.021 (real: 11.20)"
    assert Score("IS", "is", None, why="no last layer").text() == "not measured: no last layer"
    assert [short(v) for v in (None, 0.0, 0.000123, 5.5555, 123.45)] == [
        "-", "0.000", "0.000123", "5.556", "123.5"]  # fmt: skip
    assert [thousands(n) for n in (300, 999, 1000, 2500, 10000, 1234)] == [
        "300", "999", "1k", "2.5k", "10k", "1234"]  # fmt: skip
    with pytest.raises(ValueError, match="must say why"):
        Score("IS", "is", None)


def test_metrics_leave_out_what_was_not_measured_and_refuse_nonsense() -> None:
    fid = Score("FID", "fid_10k", 3.0, 0.1, real=1.0)
    assert metrics([fid, Score("IS", "is", None, why="why")]) == {
        "fid_10k": 3.0, "fid_10k_sd": 0.1, "fid_10k_real": 1.0}  # fmt: skip
    with pytest.raises(ValueError, match="duplicate"):
        metrics([fid, fid])
    with pytest.raises(ValueError, match="not finite"):
        metrics([Score("FID", "fid", float("nan"))])


def test_json_and_back() -> None:
    score = Score("FID", "fid", 3.0, per_class={"a": 1.0}, protocol={"seeds": [1]}, better="lower")
    assert Score.from_dict(score.as_dict()) == score
    with pytest.raises(UserError, match="evaluate anew"):
        Score.from_dict({"name": "FID", "key": "fid", "value": 1.0, "colour": "red"})


def test_equal_values_have_no_spread() -> None:
    assert mean_sd([0.9616, 0.9616, 0.9616]) == (0.9616, 0.0)  # numpy says 1.4e-16


@pytest.mark.parametrize(
    ("first", "other", "why"),
    [
        ({"judge_sha256": "a"}, {"judge_sha256": "b"}, "another judge"),
        ({"judge_sha256": "a"}, {}, "another judge"),
        ({"n_fake": 500, "n_real": 500}, {"n_fake": 500, "n_real": 400}, "measured otherwise"),
        ({"neighbours": 5}, {"neighbours": 3}, "measured otherwise"),
        ({"seeds": [1], "ema": "none"}, {"seeds": [1, 2], "ema": "level 0"}, ""),
        ({"neighbours": 5}, {"n_real": 5}, ""),  # of two versions, which say other things
    ],
)
def test_scores_are_compared_only_where_they_were_measured_alike(first, other, why) -> None:
    pair = [Score("FID", "fid", v, 0.1, protocol=p) for v, p in ((3.0, first), (9.0, other))]
    assert incomparable(*pair) == why
    assert verdict(*pair) == (why or "better")
