"""The pull request's text, row by row, and a plan's."""

from pathlib import Path

import pytest

from pipeline.execution.promotion import Decision
from pipeline.execution.retraining import text
from pipeline.execution.retraining.branch import Base
from pipeline.execution.retraining.outcome import Done, Outcome
from pipeline.execution.retraining.plan import Step
from pipeline.execution.retraining.text import Differences, plan_text, pull_request
from pipeline.scores.gate import Row, Verdict
from tests.small_project import committed, edited

BASE = Base("main", "a" * 40)
DONE = Outcome(
    (
        Done("encoder", "unchanged", 40.0, 2),
        Done("level1", "trained", 90.0, 1),
        Done("level0", "reused", 240.0, 1, "abc|1"),
        Done("report", "ran", None, 1),
    )
)


def test_it_has_the_verdict_the_cost_and_the_differences() -> None:
    row = Row("fid", ("1.0", "0.5"), "better beyond seed noise", True)
    verdict = Decision(Verdict((row,)), "sgan-mnist", "2", "1")
    differences = Differences("b" * 40, "| gan_test | 0.9 | 0.99 |", "")
    lines = pull_request(BASE, DONE, verdict, differences, "https://hub/x.png", "remote kept")
    for line in (
        "Retrained `main` at aaaaaaaaaa.",
        "**promoted: sgan-mnist version 2 over version 1**",
        "| fid | 1.0 | 0.5 | better beyond seed noise | ✓ |",
        "![Samples, a class each row](https://hub/x.png)",
        "| encoder | unchanged | 40 s |  |",
        "| level1 | trained | 90 s | 1.5 |",
        "| level0 | reused from abc\\|1 | 240 s |  |",
        "1.5 core-minutes in all. Not counted, since nobody noted their time: report.",
        "| gan_test | 0.9 | 0.99 |",
        "Nothing differs.",
        "Compared with the results committed in bbbbbbbbbb.",
    ):
        assert line in lines.splitlines(), line


def test_without_a_verdict_it_says_why() -> None:
    told = pull_request(BASE, DONE, "no registry", Differences(None, "", ""), "", "remote kept")
    assert "**No verdict**: no registry" in told
    assert told.count("These are the first results.") == 2
    assert "![" not in told


def test_dvc_tells_what_differs(done: Path) -> None:
    (done / "dvc.yaml").write_text(
        (done / "dvc.yaml").read_text() + "metrics:\n- metrics/joint.json\n"
    )
    before = committed("results")
    edited(done, "joint", "seed", value=5)
    (done / "metrics" / "joint.json").write_text('{"seconds": 33.0}')
    found = Differences.since_commit(done, before)
    cells = [cell.strip() for cell in found.metrics.splitlines()[-1].split("|")]
    assert cells == ["", "metrics/joint.json", "seconds", "30.0", "33.0", "3.0", ""]
    assert "| params.yaml | joint.seed |" in found.params
    assert Differences.since_commit(done, None).since is None
    assert text._diff(done, "metrics", "nowhere").startswith("`dvc metrics diff`: ")


def test_a_plan_is_a_table_and_a_sum() -> None:
    assert plan_text([]) == "Nothing is stale.\n"
    steps = [
        Step("level1", "levels.1.seed: 1 → 2", True, 120.0, 1),
        Step("joint", "if levels comes out otherwise", False, 60.0, 2),
        Step("report", "if evaluate comes out otherwise", False, None, 1),
    ]
    told = plan_text(steps)
    assert "| level1 | levels.1.seed: 1 → 2 | 120 s | 2.0 |" in told
    assert told.endswith(
        "Costs 2.0 core-minutes, and up to 4.0 if what follows comes out otherwise; without "
        "report, whose time nobody noted.\n"
    )


def test_pictures_have_an_address_on_github_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_SERVER_URL", raising=False)
    assert text.picture_address(None, "abc", Path("plots/x.png")) == "plots/x.png"
    assert text.picture_address("a/b", "abc", Path("plots/x.png")) == (
        "https://github.com/a/b/raw/abc/plots/x.png"
    )
