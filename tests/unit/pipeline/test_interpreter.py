"""Another Python than the project's: one line with the remedy, instead of a trace."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import cli, interpreter
from pipeline.interpreter import remedy

ROOT = Path(cli.__file__).resolve().parent.parent


def test_a_python_without_the_packages_is_told_in_one_line() -> None:
    bare = [sys.executable, "-S", "-m", "pipeline", "prepare"]  # -S: without site-packages
    done = subprocess.run(bare, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "has no package" in line
    assert "make setup" in line or "activate" in line


def test_a_package_that_only_a_command_needs_is_told_alike(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = ModuleNotFoundError("No module named 'filelock'", name="filelock")

    def lacking(name: str) -> None:
        raise error

    monkeypatch.setattr(cli, "import_module", lacking)
    monkeypatch.setattr(cli, "parser", lambda: _Parser())
    assert cli.main(["prepare"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: {remedy(error)}"


class _Parser:
    def parse_args(self, argv: object) -> object:
        return type("Arguments", (), {"handler": staticmethod(cli._stage("prepare"))})


def test_a_module_of_our_own_is_no_matter_of_the_interpreter() -> None:
    assert remedy(ModuleNotFoundError("x", name="pipeline.nothing")) is None
    assert remedy(ModuleNotFoundError("x")) is None


def test_it_says_what_this_checkout_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "__file__", str(tmp_path / "pipeline/interpreter.py"))
    error = ModuleNotFoundError("x", name="torch.nn")
    assert f"run `make setup` in {tmp_path}, then" in (remedy(error) or "")
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").touch()
    told = remedy(error) or ""
    assert "no package 'torch'" in told
    assert f"run `. {tmp_path}/.venv/bin/activate` first" in told
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    assert f"run `make setup` in {tmp_path} to bring it up to date" in (remedy(error) or "")
