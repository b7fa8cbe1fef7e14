"""Rows: which way is better, what a limit asks, what lets a run fail; and their JSON."""

import json

import pytest

from benchmarks import report
from benchmarks.report import Limit, Row


def test_the_ratio_says_how_many_times_better_ours_is() -> None:
    assert Row("b", "a step", 2.0, "ms", "plain", 6.0).ratio == 3.0
    assert Row("b", "images a second", 6.0, "", "plain", 2.0, more_is_better=True).ratio == 3.0
    assert Row("b", "alone", 2.0).ratio is None
    assert Row("b", "nothing to divide by", 0.0, "%", "plain", 50.0).ratio is None


@pytest.mark.parametrize(
    ("row", "verdict", "wrong"),
    [
        (Row("b", "w", 2.0), "", False),
        (Row("b", "w", 2.0, limit=Limit(2.0)), "holds", False),
        (Row("b", "w", 2.1, limit=Limit(2.0)), "MISSED", True),
        (Row("b", "w", 2.0, more_is_better=True, limit=Limit(2.1)), "MISSED", True),
        (Row("b", "w", 2.0, "", "plain", 6.0, limit=Limit(3.0, "ratio")), "holds", False),
        (Row("b", "w", 2.0, "", "plain", 6.0, limit=Limit(3.1, "ratio")), "MISSED", True),
        (Row("b", "w", 2.0, limit=Limit(3.1, "ratio")), "MISSED", True),
        (Row("b", "w", 2.1, limit=Limit(2.0, goal=True)), "not reached", False),
        (Row("b", "w", 1.9, limit=Limit(2.0, goal=True)), "reached", False),
        (Row("b", "", failure="it died"), "FAILED: it died", True),
    ],
)
def test_a_limit_must_hold_and_a_goal_may_be_missed(row: Row, verdict: str, wrong: bool) -> None:
    assert row.verdict == verdict
    assert row.wrong is wrong


def test_the_table_has_a_line_for_each_row_and_its_columns_line_up() -> None:
    rows = [
        Row("speed", "a step", 151.3, "ms", "plain", 525.0, limit=Limit(2.0, "ratio")),
        Row("serving", "p95", 14.0, "ms", limit=Limit(100.0)),
    ]
    lines = report.table(rows).splitlines()
    assert len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[2] == ["speed", "a step", "151 ms", "525 ms plain", "3.47", "ratio ≥ 2", "holds"]
    assert cells[3] == ["serving", "p95", "14 ms", "", "", "≤ 100 ms", "holds"]


def test_rows_come_back_from_their_json() -> None:
    rows = [
        Row("b", "w", 2.0, "ms", "plain", 6.0, limit=Limit(3.0, "ratio", goal=True)),
        Row("c", "", failure="it died"),
    ]
    assert report.from_json(report.to_json(rows, {})) == rows


def test_the_json_names_machine_versions_and_commit() -> None:
    facts = json.loads(report.to_json([Row("b", "w", 2.0)], report.about()))
    assert facts["machine"]["cores"] >= 1
    assert set(facts["machine"]["flags"]) == {"avx2", "avx512f", "avx512_bf16", "amx_bf16"}
    assert {"python", "torch", "ray", "mlflow"} <= set(facts["versions"])
    assert facts["commit"] and facts["date"]
    assert facts["rows"][0]["verdict"] == ""
