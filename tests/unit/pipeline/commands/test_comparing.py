"""Runs beside each other: their scores, what differs, and what a difference is worth."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.commands.comparing import score_rows
from pipeline.errors import UserError
from pipeline.experiments.comparison import changed_params, from_file, nested
from pipeline.report.contents import ReportData, StageFact
from pipeline.scores.score import Score, verdict

LOCK = """
schema: '2.0'
stages:
  encoder:
    params:
      params.yaml:
        data.centre: none
        encoder: {seed: 1}
  levels:
    params:
      params.yaml:
        levels: {'0': {lambda_ent: 10.0}}
"""


def score(value: float | None, sd: float | None = None, **more: object) -> Score:
    """A distance by one judge."""
    fields = {"better": "lower", "protocol": {"judge_sha256": "a"}, "why": "no weights", **more}
    return Score("FID (judge)", "fid", value, sd, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "other", "said"),
    [
        (score(2.0, 0.1), score(1.0, 0.1), "better"),
        (score(1.0, 0.1), score(2.0, 0.1), "worse"),
        (score(1.0, 0.1), score(1.28, 0.1), "≈"),  # 2 * 0.1414
        (score(1.0, 0.1), score(1.29, 0.1), "worse"),
        (score(1.0), score(5.0), "?"),
        (score(1.0, 0.1), score(5.0), "worse"),
        (score(1.0, 0.1), score(5.0, 0.1, protocol={"judge_sha256": "b"}), "another judge"),
        (score(None), score(5.0, 0.1), ""),
    ],
)
def test_a_difference_counts_only_beyond_the_spread(first: Score, other: Score, said: str) -> None:
    assert verdict(first, other) == said


def test_better_is_what_the_score_says() -> None:
    accuracies = [score(v, 0.01, better="higher") for v in (0.8, 0.9)]
    assert verdict(*accuracies) == "better"
    ratios = [score(v, 0.01, better="near real", real=0.95) for v in (0.90, 1.10)]
    assert verdict(*ratios) == "worse"  # 0.15 from real, not 0.05


def test_scores_of_a_real_evaluation_read_back(scores_json: Path) -> None:
    run = from_file(scores_json)
    assert [s.key for s in run.scores][:3] == ["gan_test", "is_judge_10k", "fid_judge_10k"]
    assert run.scores[0].text() == "0.998 (real: 0.992)"
    assert run.params == {}


def test_a_project_s_scores_come_with_the_parameters_they_were_made_with(
    scores_json: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mine" / "artifacts" / "evaluate"
    folder.mkdir(parents=True)
    shutil.copy(scores_json, folder / "scores.json")
    (tmp_path / "mine" / "dvc.lock").write_text(LOCK)
    (tmp_path / "mine" / "params.yaml").write_text("levels: {'0': {lambda_ent: 0.0}}")
    run = from_file(folder / "scores.json")
    assert run.title == "mine"
    assert run.params == {"encoder": {"seed": 1}, "levels": {"0": {"lambda_ent": 10.0}}}


@pytest.mark.parametrize("text", ["{", "{}", "[3]", '[{"key": "fid"}]', "[null]"])
def test_other_files_are_refused_in_a_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(UserError):
        from_file(path)


def test_stages_come_from_beside_the_scores(scores_json: Path, tmp_path: Path) -> None:
    shutil.copy(scores_json, tmp_path / "scores.json")
    facts = [StageFact("prepare", 2.5, []), StageFact("joint", None, ["prepare"], run_id="a")]
    (tmp_path / "stages.json").write_text(json.dumps([asdict(fact) for fact in facts]))
    run = from_file(tmp_path / "scores.json")
    assert run.stages == facts
    assert run.headline[:3] == ["gan_test", "fid_judge_10k", "diversity_pixels"]
    (tmp_path / "stages.json").write_text('[{"stage": "prepare"}]')
    with pytest.raises(UserError, match=r"stages.json: not the stages of an evaluation"):
        from_file(tmp_path / "scores.json")


def test_parameters_are_compared_whether_from_yaml_or_from_mlflow() -> None:
    yaml = {"joint": {"enabled": True, "lr_g": None}, "levels": {"0": {"g_steps": [[0.0, 1]]}}}
    mlflow = {"joint.enabled": "true", "joint.lr_g": "null", "levels.0.g_steps": "[[0.0, 1]]"}
    mlflow |= {"runtime.device": "cuda", "joint.seed": "2"}
    runs = [ReportData("a", "", [], params=yaml), ReportData("b", "", [], params=nested(mlflow))]
    assert changed_params(runs) == [("joint.seed", ["-", "2"])]
    assert changed_params([*runs, ReportData("c", "", [])])[0][1] == ["-", "2", "-"]


def test_scores_of_an_older_version_compare_by_their_keys(
    scores_json: Path, tmp_path: Path
) -> None:
    new = ("metric", "judge", "n", "unit", "level", "given", "space", "varies")
    stored = json.loads(scores_json.read_text())
    older = [{k: v for k, v in values.items() if k not in new} for values in stored]
    (tmp_path / "older.json").write_text(json.dumps(older))
    runs = [from_file(scores_json), from_file(tmp_path / "older.json")]
    assert runs[1].headline == []  # nothing says what these are
    assert score_rows(runs)[0] == ["gan_test", "0.992", "0.998", "0.998  +0 ?"]


def test_rows_have_the_difference_from_the_first_run(scores_json: Path) -> None:
    first = from_file(scores_json)
    changed = [replace(s, value=(s.value or 0) - 0.1, sd=0.01) for s in first.scores[:1]]
    second = ReportData("second", "", changed)
    rows = score_rows([first, second])
    assert rows[0] == ["gan_test", "0.992", "0.998", "0.898 ± 0.01  -0.1 worse"]
    assert rows[1] == ["is_judge_10k", "9.490", "9.645 ± 0.0165", "-"]


def test_the_page_and_the_table_of_two_files(
    scores_json: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.json"
    values = json.loads(scores_json.read_text())
    values[2]["value"] = 0.9
    other.write_text(json.dumps(values))
    assert main(["compare", str(scores_json), str(other), "--out", "page.html"]) == 0
    said = capsys.readouterr().out
    assert "fid_judge_10k" in said
    assert "0.900  +0.63 ?" in said
    assert "Parameters" not in said
    page = Path("page.html").read_text()
    assert "FID (judge CNN, 10k)" in page
    assert "<script" not in page


def test_bad_requests_are_one_line(scores_json: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        ([str(scores_json)], "compare: name two runs or more"),
        ([str(scores_json)] * 2 + ["--out", "x.pdf"], "--out x.pdf: must end in .html"),
    ):
        assert main(["compare", *arguments]) == 2
        assert capsys.readouterr().err == f"error: {message}\n"
