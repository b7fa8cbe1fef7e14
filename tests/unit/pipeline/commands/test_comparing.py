"""Runs beside each other: their scores, what differs, and what a difference is worth."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import options
from pipeline.cli import main
from pipeline.commands import comparing
from pipeline.commands.comparing import score_rows
from pipeline.experiments.comparison import from_file
from pipeline.report.contents import ReportData
from pipeline.report.differences import changed_params
from pipeline.scores.score import Score, verdict


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


def test_names_in_brackets_are_shown_as_they_are(
    scores_json: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = from_file(scores_json).scores
    runs = [
        ReportData(f"[red]{n}", "", scores, params={"data": {"source": f"/data/[raw]/{n}"}})
        for n in (1, 2)
    ]
    comparing._print_params(options.console(), runs, changed_params(runs))
    comparing._print_scores(options.console(), runs)
    said = capsys.readouterr().out
    assert "/data/[raw]/1" in said and "/data/[raw]/2" in said
    assert said.count("[red]1") == 3 and said.count("[red]2") == 2
