"""A retraining from a stale project to a branch: real git, DVC and remotes, small stages."""

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.errors import UserError
from pipeline.execution.retraining import course
from pipeline.execution.retraining.course import Wanted, retrain
from pipeline.storage.lease import Lease
from pipeline.storage.store import Storage
from tests.small_project import committed

DVC = (sys.executable, "-m", "dvc")


def test_two_at_once(
    done: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    committed("results")
    other = Lease(Storage(done / ".runs"), "retrain/retrain-main.lease")
    assert other.take()
    with pytest.raises(
        UserError, match=r"another retraining of retrain/main is under way: .*process"
    ):
        retrain(done, Wanted(wait=False))
    ends_while_waited_for = SimpleNamespace(sleep=lambda _seconds: other.release())
    monkeypatch.setattr(course, "time", ends_while_waited_for)
    assert retrain(done, Wanted()) == 0
    told = capfd.readouterr().out
    assert re.search("retrain/main is being retrained by .*; waiting for that", told)
    assert "nothing is stale" in told


def test_the_stages_that_run_here_are_told_of_the_storage(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed("results")
    monkeypatch.setenv("SGAN_STORAGE", str(tmp_path / "elsewhere"))
    told = []
    monkeypatch.setattr(course, "repro", lambda *_: told.append(os.environ["SGAN_STORAGE"]) or 1)
    assert retrain(done, Wanted(storage=str(tmp_path / "wanted"))) == 1
    assert told == [str(tmp_path / "wanted")]


def test_what_cannot_work_is_said_before_anything_runs(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"storage .runs: a job's results come here from s3://"):
        retrain(checkout, Wanted(address="http://head:8265"))
    (checkout / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    committed("no remote")
    with pytest.raises(UserError, match="dvc remote add --default"):
        retrain(checkout, Wanted())
    assert not (checkout / "dvc.lock").exists()
