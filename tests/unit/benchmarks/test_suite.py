"""The set of `make bench`: within ten minutes, nothing forgotten, and failures are rows."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import serving, suite
from benchmarks.__main__ import run
from benchmarks.report import ROOT
from benchmarks.serving import Rate
from benchmarks.suite import SET

OWN = {"__main__", "report", "suite", "contenders", "dcgan", "judged"}  # no scripts


def test_the_budgets_are_ten_minutes_together() -> None:
    assert sum(entry.seconds for entry in SET) <= 600


def test_every_script_is_in_the_set_or_left_out_with_a_word_why() -> None:
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - OWN
    left_out = set(re.findall(r"^    (\w+)  ", suite.__doc__ or "", re.MULTILINE))
    assert {entry.name for entry in SET} | left_out == scripts
    assert not {entry.name for entry in SET} & left_out


def test_a_benchmark_that_takes_too_long_is_ended_and_is_a_row(tmp_path: Path) -> None:
    (row,) = run(replace(SET[0], seconds=0), tmp_path)
    assert row.wrong
    assert row.failure.startswith("not done within 0 s")


def test_a_benchmark_that_breaks_is_a_row_with_its_last_words(tmp_path: Path) -> None:
    def unknown(arguments):  # type: ignore[no-untyped-def]
        raise AssertionError("it runs in another process, where nobody knows it")

    (row,) = run(replace(SET[0], rows=unknown), tmp_path)
    assert row.wrong
    assert row.failure.startswith("ended with 1: ")
    assert "unknown" in row.failure


def test_one_that_needs_more_cores_is_left_out_and_nothing_is_wrong(tmp_path: Path) -> None:
    (row,) = run(replace(SET[0], cores=10_000), tmp_path)
    assert not row.wrong
    assert row.what == "left out: it needs 10000 cores"


def test_a_rate_that_nothing_was_answered_at_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Rate(20, np.array([0.01, 0.02]), 0, 0.1), Rate(60, np.array([]), 300, 5.0)]
    monkeypatch.setattr(serving, "main", lambda arguments: found)
    answered, refused = suite.serving([])
    assert answered.ours == pytest.approx(19.5) and not answered.wrong
    assert refused.wrong and refused.ours is None
    assert refused.verdict == "FAILED: nothing was answered"
    assert refused.what == "p95 at 60 images a second, 300 failed"
