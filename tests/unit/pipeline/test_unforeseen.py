"""An error that nobody foresaw: one line, an exit status of its own, and a file with the trace."""

import errno
import re
from pathlib import Path

import pytest

from pipeline import cli, unforeseen

SECRET = "correct-horse-battery"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a secret in its environment and in its params."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    (tmp_path / "params.yaml").write_text(f"data:\n  source: s3://me:{SECRET}@bucket/pets\n")
    return tmp_path


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_one_line_names_the_file_with_trace_versions_and_settings(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = raised(KeyError("h_1"))
    arguments = ["prepare", f"--from=https://me:{SECRET}@host/x"]
    assert unforeseen.tell(error, arguments) == unforeseen.EXIT_STATUS == 70
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(r"error: KeyError: 'h_1'\. This is a fault of sgan; its trace", line)
    (file,) = (project / ".runs/crashes").iterdir()
    assert line.endswith(f" {file}")
    report = file.read_text()
    for word in ("in raised", "Python 3.", "torch 2.", "sgan prepare", "s3://***@bucket/pets"):
        assert word in report
    assert SECRET not in report


def test_outside_of_a_project_the_file_lies_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work, temporary = tmp_path / "work", tmp_path / "tmp"
    work.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("DVC_ROOT", str(work))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    assert unforeseen.tell(raised(ValueError("x" * 10_000)), []) == 70
    line = capsys.readouterr().err
    assert len(line) < 600 and len(list(temporary.iterdir())) == 1
    assert list(work.iterdir()) == []


def test_a_full_disk_is_the_person_s_to_mend(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", str(project / "artifacts/x"))
    assert unforeseen.tell(raised(full), ["levels"]) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"error: {project}/artifacts/x: No space left on device (")
    assert not (project / ".runs").exists()


def test_what_lies_in_the_way_of_a_command_is_the_person_s_to_mend(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "plots").write_text("a file where a folder belongs")
    with pytest.raises(FileExistsError) as caught:
        (project / "plots").mkdir(exist_ok=True)
    assert unforeseen.tell(caught.value, ["joint"]) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"error: {project}/plots: {project}/plots is a file, where a folder")
    assert not (project / ".runs").exists()


def test_where_no_file_can_be_written_the_trace_is_printed(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / ".runs").write_text("a file where a folder belongs")
    assert unforeseen.tell(raised(KeyError("h_1")), []) == 70
    told = capsys.readouterr().err
    assert "Traceback" in told and told.splitlines()[-1].endswith("its trace stands above")


def test_every_command_ends_so(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("pipeline.params.loading.load", fail)
    assert cli.main(["features"]) == 70
    assert capsys.readouterr().err.startswith("error: ZeroDivisionError: division by zero. This is")
