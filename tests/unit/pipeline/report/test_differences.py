"""Runs beside each other: what differs, what is the same, who leads."""

from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.report.contents import Curves, ReportData
from pipeline.report.differences import (
    changed_params,
    clear_best,
    headline_scores,
    same_curves,
    same_figures,
    same_scores,
    same_stages,
    score_of,
)
from pipeline.report.grids import grid
from pipeline.report.record import StageFact
from pipeline.scores.score import Score, within_spread


def score(value: float, sd: float | None = 0.1, better: Any = "lower", sha: str = "a") -> Score:
    """A score by a judge with the digest `sha`."""
    return Score("x", "x", value, sd, real=1.0, better=better, protocol={"judge_sha256": sha})


def nested(joint: dict[str, Any]) -> ReportData:
    """A run of these settings."""
    return ReportData("run", "", [], params={"joint": joint})


def test_parameters_are_compared_whether_from_yaml_or_from_mlflow() -> None:
    yaml = nested({"enabled": True, "lr_g": None, "steps": [["a", 1]]})
    mlflow = nested({"enabled": "true", "lr_g": "null", "steps": '[["a", 1]]', "seed": "2"})
    assert changed_params([yaml, mlflow]) == [("joint.seed", ["-", "2"])]
    unknown = ReportData("c", "", [])
    assert changed_params([yaml, mlflow, unknown])[0][1] == ["-", "2", "-"]


def test_where_it_ran_is_no_difference() -> None:
    runs = [ReportData(x, "", [], params={"runtime": {"device": x}}) for x in ("cpu", "cuda")]
    assert changed_params(runs) == []


def test_who_leads() -> None:
    assert clear_best([score(2.0), score(1.0), score(3.0)]) == 1
    assert clear_best([score(2.0, better="higher"), score(1.0, better="higher")]) == 0
    assert clear_best([score(1.05, 0.01, "near real"), score(0.5, 0.01, "near real")]) == 0
    assert clear_best([score(1.1), score(1.0)]) is None  # within the spread
    assert clear_best([score(2.0, None), score(1.0, None)]) is None  # no spread known
    assert clear_best([score(2.0), score(1.0, sha="b")]) is None  # other judges
    assert clear_best([score(1.0), None]) is None
    noisy = score(1.5, 1.0)  # behind the runner-up, and not clearly behind the first
    assert clear_best([score(1.4), score(1.0), noisy]) is None
    assert within_spread(score(1.0), score(1.28)) and not within_spread(score(1.0), score(1.29))


def test_scores_stand_in_a_row_with_gaps(data: ReportData) -> None:
    other = replace(data, scores=[replace(data.scores[0], value=0.5), score(1.0)])
    rows = {named.key: found for named, found in same_scores([data, other])}
    assert list(rows) == ["gan_test", "fid_judge_10k", "is_50k", "x"]
    assert rows["gan_test"] == [data.scores[0], other.scores[0]]
    assert rows["fid_judge_10k"] == [data.scores[1], None]
    assert rows["x"] == [None, other.scores[1]]
    assert score_of(data, "x") is None


def test_bars_of_a_card_share_their_scale(data: ReportData) -> None:
    fid = data.scores[1]
    other = replace(data, title="other", scores=[replace(fid, value=3.0)])
    gan_test, distance = headline_scores([data, other])
    assert [title for title, _ in gan_test.measured] == [data.title]
    assert distance.first is fid and distance.shown is fid
    assert [title for title, _ in distance.measured] == [data.title, "other"]
    assert distance.largest == 3.0
    missing = replace(data, scores=[Score(s.name, s.key, None, why="?") for s in data.scores])
    assert headline_scores([missing, missing]) == []


def test_pictures_that_are_the_same_stand_there_once(data: ReportData) -> None:
    drawn = replace(data.figures[0], image=grid(np.zeros((4, 8, 8, 1), np.uint8), 2))
    other = replace(data, title="other", figures=[drawn, data.figures[1]])
    sections = same_figures([data, other])
    assert list(sections) == ["Samples", "Files"]
    (samples,), (file,) = sections.values()
    assert [name for name, _ in samples.figures] == [data.title, "other"]
    assert [name for name, _ in file.figures] == ["the same in all runs"]
    alone = same_figures([data, replace(other, figures=[drawn])])["Files"][0]
    assert [name for name, _ in alone.figures] == [data.title]


def test_curves_overlay_where_two_runs_have_them() -> None:
    both, one = [(0.0, 1.0), (1.0, 2.0)], [(0.0, 3.0)]
    runs = [
        ReportData("a", "", [], curves=[Curves("Level 0 alone", {"d": both, "g": one}, level=0)]),
        ReportData("b", "", [], curves=[Curves("Level 0 alone", {"d": one}, level=0)]),
    ]
    (found,) = same_curves(runs)
    assert (found.title, found.level) == ("Level 0 alone: d", 0)
    assert found.series == {"a": both, "b": one}


def test_stages_stand_in_a_row(data: ReportData) -> None:
    other = replace(data, stages=[StageFact("prepare", 65), StageFact("extra", 1)])
    rows = dict(same_stages([data, other]))
    assert list(rows) == ["prepare", "levels", "level0", "joint", "extra"]
    assert rows["prepare"] == [data.stages[0], other.stages[0]]
    assert rows["extra"] == [None, other.stages[1]]
