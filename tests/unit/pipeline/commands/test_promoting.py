"""`sgan promote`: options, exit statuses, and what is written."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.execution import promotion
from pipeline.execution.promotion import Decision
from pipeline.scores.gate import Row, Verdict

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which nothing has run yet."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("holds", "status"), [(True, 0), (False, 3), (None, 2)])
def test_the_exit_status_is_the_verdict(
    holds: bool | None,
    status: int,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = Row("fid", ("1.0", "0.5"), "better beyond seed noise", holds)
    found = Decision(Verdict((row,)), "sgan-mnist", "2", "1")
    monkeypatch.setattr(promotion, "decide", lambda *_, **__: found)
    out = project / "verdict.md"
    assert main(["promote", "--dry-run", "--markdown", str(out)]) == status
    assert "better beyond seed noise" in capsys.readouterr().out
    assert out.read_text() == found.markdown()


def test_a_verdict_is_written_as_markdown_only(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote", "--markdown", "verdict.html"]) == 2
    assert "--markdown verdict.html: must end in .md" in capsys.readouterr().err


def test_nothing_to_roll_back(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["promote", "--rollback"]) == 2
    assert "Run `dvc repro prepare` first" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--markdown", "verdict.md"], ["--version", "3"]])
def test_a_rollback_compares_nothing(
    option: list[str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote", "--rollback", *option]) == 2
    assert f"{option[0]} does not go with --rollback" in capsys.readouterr().err


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_dry_rollback_only_says_what_would_happen(
    dry: list[str], project: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    class Registry:
        def rollback(self, *, dry: bool) -> tuple[str, str]:
            asked.append(dry)
            return "1", "2"

    monkeypatch.setattr(promotion, "registry_of", lambda _: Registry())
    assert main(["promote", "--rollback", *dry]) == 0
    told = "would be rolled back: version 1 would be" if dry else "rolled back: version 1 is"
    assert told in capsys.readouterr().out
    assert asked == [bool(dry)]
