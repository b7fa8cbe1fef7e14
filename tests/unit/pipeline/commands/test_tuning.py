"""`sgan tune`: its options, its exit statuses, and what it prints of the best trial."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.execution import tuning
from pipeline.params.loading import load
from pipeline.params.tuning import TuneConfig
from pipeline.tuning.outcome import Outcome, Tried
from pipeline.tuning.records import Look
from pipeline.tuning.space import Setting

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which nothing has run yet."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def ended(project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`ended(best, begun)`: from now on a search has this outcome, and those of these levels were
    begun; what it was asked for is returned."""
    asked: list[Any] = []

    def make(best: int | None, begun: Sequence[int] = (1,)) -> list[Any]:
        start = load(project / "params.yaml").levels[1]
        looks = (Look(0, 900, 0.5, 0.4, 0.5, False, True),)
        better = (Look(1, 900, 0.2, 0.6, 0.2, best is None, True),)
        changed = Setting({"lr_g": 0.0007}, replace(start, lr_g=0.0007))
        tried = (Tried(0, Setting({}, start), "a", looks), Tried(1, changed, "b", better))
        found = Outcome(1, TuneConfig(trials=2), 900, 0.01, tried, best, (0.21, 0.52))

        def outcome(job: Any, resume: bool) -> Outcome:
            asked.append((job.level, job.settings.trials, resume))
            assert load(project / "params.yaml").levels[1] == start, "applied too early"
            return replace(found, level=job.level)

        monkeypatch.setattr(tuning.Job, "outcome", outcome)
        monkeypatch.setattr(tuning.Job, "can_go_on", lambda job: job.level in begun)
        return asked

    return make


def test_the_best_trial_is_a_patch_and_a_line_and_applied_only_when_asked(
    ended: Any, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ended(1)
    before = (project / "params.yaml").read_text()
    assert main(["tune", "1", "--trials", "2"]) == 0
    told = capsys.readouterr().out
    assert "Best: trial 1, Fréchet distance 0.2000 (real against real: 0.0100)" in told
    assert "On other samples: 0.2100; params.yaml as it is: 0.5200" in told
    assert "levels:\n  '1':\n    lr_g: 0.0007\n" in told
    assert "dvc exp run -S levels.1.lr_g=0.0007\n" in told
    assert (project / "params.yaml").read_text() == before
    assert main(["tune", "1", "--resume", "--apply"]) == 0
    assert load(project / "params.yaml").levels[1].lr_g == 0.0007
    assert asked == [(1, 2, False), (1, 16, True)]


def test_of_several_levels_those_that_were_begun_go_on_and_the_others_begin(
    ended: Any, project: Path
) -> None:
    asked = ended(1, begun=[1])
    assert main(["tune", "1", "0", "--resume", "--apply"]) == 0
    assert asked == [(1, 16, True), (0, 16, False)]
    levels = load(project / "params.yaml").levels
    assert (levels[0].lr_g, levels[1].lr_g) == (0.0007, 0.0007)


def test_where_none_was_begun_nothing_goes_on(ended: Any) -> None:
    asked = ended(1, begun=[])
    assert main(["tune", "1", "--resume"]) == 0
    assert asked == [(1, 16, True)]  # which refuses it: tests/unit/pipeline/execution/test_tuning


def test_where_every_trial_collapsed_nothing_is_changed_and_the_status_is_3(
    ended: Any, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended(None)
    before = (project / "params.yaml").read_text()
    assert main(["tune", "1", "--apply"]) == 3
    told = capsys.readouterr().out
    assert "No trial kept its diversity" in told and "collapsed" in told
    assert (project / "params.yaml").read_text() == before


def test_present_settings_may_be_the_best(ended: Any, capsys: pytest.CaptureFixture[str]) -> None:
    ended(0)
    assert main(["tune", "1"]) == 0
    assert "params.yaml as it is was best." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["1", "--trials", "1"], "--trials 1: must be at least 2"),
        (["1", "1"], "tune 1 1: give each level once"),
        (["7"], "level 7: this stack has none; its levels: 0, 1"),
    ],
)
def test_bad_options_are_one_error(
    words: list[str], told: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune", *words]) == 2
    assert capsys.readouterr().err == f"error: {told}\n"
