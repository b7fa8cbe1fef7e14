"""`sgan retrain`: what its options become, and a plan on a project that never ran."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.commands import retraining
from pipeline.execution.retraining import course
from pipeline.execution.retraining.plan import Step

ROOT = Path(__file__).resolve().parents[4]


def test_options_reach_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(course, "retrain", lambda root, wanted: asked.append(wanted) or 7)
    assert main(["retrain", "--new-data", "--no-wait", "--branch", "b", "--storage", "s3://x"]) == 7
    (wanted,) = asked
    assert (wanted.new_data, wanted.wait, wanted.branch) == (True, False, "b")
    assert (wanted.storage, wanted.markdown) == ("s3://x", course.MARKDOWN)


def test_a_plan_says_what_never_ran(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["git", "init", "--quiet"], check=True)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".dvc").mkdir()
    assert main(["retrain", "--dry-run", "--markdown", "plan.md"]) == 0
    assert "| level1 | never ran | ? | ? |" in (tmp_path / "plan.md").read_text()
    assert "whose time nobody noted" in capsys.readouterr().out
    assert not (tmp_path / "dvc.lock").exists()


def test_brackets_of_a_path_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    retraining._show([Step("prepare", "data/[ab]*.npz changed", True, 1.0, 2.0)])
    assert "data/[ab]*.npz changed" in capsys.readouterr().out


def test_a_plan_is_written_as_markdown_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retrain", "--dry-run", "--markdown", "plan.txt"]) == 2
    assert "--markdown plan.txt: must end in .md" in capsys.readouterr().err


def test_a_folder_without_dvc_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    assert main(["retrain", "--dry-run"]) == 2
    assert capsys.readouterr().err.startswith("error: DVC, with the project: ")
