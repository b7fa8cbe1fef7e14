"""What evaluate leaves: it reads back, and other files are refused in a line."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.report.contents import ReportData
from pipeline.report.record import (
    FACTS,
    PREVIOUS,
    SCORES,
    STAGES,
    Facts,
    StageFact,
    read_facts,
    read_scores,
    read_stages,
    write_record,
)

RECORDED = Facts(
    "mnist", 60_000, "ab" * 32, "0123456789 (dirty)", "full-s1", "note", {"a": {"b": 1}}
)


def test_it_reads_back(data: ReportData, tmp_path: Path) -> None:
    before = [replace(data.scores[0], value=0.9)]
    stages = [replace(stage, needs=list(stage.needs)) for stage in data.stages]
    write_record(tmp_path, data.scores, before, stages, RECORDED)
    assert {path.name for path in tmp_path.iterdir()} - {"picture.png"} == {
        SCORES,
        PREVIOUS,
        STAGES,
        FACTS,
    }
    assert read_scores(tmp_path / SCORES) == data.scores
    assert read_scores(tmp_path / PREVIOUS) == before
    assert read_stages(tmp_path) == stages
    assert read_facts(tmp_path) == RECORDED


def test_nothing_recorded_is_no_error(tmp_path: Path) -> None:
    assert read_stages(tmp_path) == []
    assert read_facts(tmp_path) is None
    with pytest.raises(UserError, match=r"^scores of a run does not exist"):
        read_scores(tmp_path / SCORES, "scores of a run")


@pytest.mark.parametrize("text", ["{", "{}", "[3]", '[{"key": "fid"}]', "[null]"])
def test_other_scores_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / SCORES).write_text(text)
    with pytest.raises(UserError):
        read_scores(tmp_path / SCORES)


@pytest.mark.parametrize("text", ["{", '[{"stage": "prepare"}]', "[1]"])
def test_other_files_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / STAGES).write_text(text)
    (tmp_path / FACTS).write_text(text)
    with pytest.raises(UserError, match=r"stages.json: not the stages of an evaluation"):
        read_stages(tmp_path)
    with pytest.raises(UserError, match=r"facts.json: not the facts of an evaluation"):
        read_facts(tmp_path)


def test_a_stage_is_named_by_its_first_fields() -> None:
    assert StageFact("joint", None).needs == ()
