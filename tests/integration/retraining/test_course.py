"""A retraining from a stale project to a branch: real git, DVC and remotes, small stages."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.execution.retraining import course
from pipeline.execution.retraining.course import Wanted, retrain
from pipeline.storage.lease import Lease
from pipeline.storage.store import Storage
from tests.small_project import committed, edited, run

pytestmark = pytest.mark.integration

DVC = (sys.executable, "-m", "dvc")


def test_from_a_change_to_a_branch_that_a_fresh_clone_takes(
    checkout: Path,
    tmp_path: Path,
    hub: Any,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert retrain(checkout, Wanted()) == 0
    told = capfd.readouterr().out
    assert "retrain: branch retrain/main pushed" in told
    assert "no pull request without GH_TOKEN" in told
    text = (checkout / "artifacts" / "retrain.md").read_text()
    assert "| joint | trained | 30 s | 0.5 |" in text
    assert "**No verdict**: " in text and "These are the first results." in text

    monkeypatch.setenv("GH_TOKEN", "right")
    monkeypatch.setenv("GITHUB_API_URL", hub.api)
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    assert retrain(checkout, Wanted()) == 0  # as after a kill behind the push
    told = capfd.readouterr().out
    assert "branch retrain/main is there already" in told and "retrain: https://hub/pull/1" in told
    (pull,) = hub.pulls
    assert (pull["head"], pull["base"]) == ("retrain/main", "main")
    assert "| joint | trained | 30 s | 0.5 |" in pull["body"]
    assert "right" not in told

    run("git", "fetch", "--quiet", "origin")
    run("git", "push", "--quiet", "origin", "origin/retrain/main:main")
    run("git", "clone", "--quiet", str(tmp_path / "of/origin.git"), str(tmp_path / "of/fresh"))
    fresh = tmp_path / "of" / "fresh"
    subprocess.run([*DVC, "pull", "--quiet"], cwd=fresh, check=True)
    assert (fresh / "out" / "joint").read_text() == "1"
    assert retrain(fresh, Wanted()) == 0
    assert "retrain: nothing is stale" in capfd.readouterr().out


def test_a_remote_that_is_away_at_the_push_loses_nothing(
    done: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "of" / "kept"
    shutil.rmtree(kept, ignore_errors=True)
    kept.write_text("no folder")
    (done / ".dvc" / "config").write_text(
        (done / ".dvc" / "config").read_text().replace("../../kept", "../../kept/dvc")
    )
    run("git", "commit", "--quiet", "--message", "a remote, no results", "--", ".dvc/config")
    with pytest.raises(UserError, match="Nothing is lost"):
        course._keep(done, "kept")
    kept.unlink()
    assert retrain(done, Wanted()) == 0
    told = capfd.readouterr().out
    assert "Running stage" not in told
    assert "branch retrain/main pushed" in told
    assert [path for path in kept.rglob("*") if path.is_file()]


def test_what_fails_keeps_what_ended(
    done: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    committed("results")
    edited(done, "encoder", "seed", value=7)
    (done / "copy_number.py").write_text(
        (done / "copy_number.py").read_text() + "if stage == 'levels': raise SystemExit(3)\n"
    )
    committed("a level that fails")
    assert retrain(done, Wanted()) != 0
    assert "failed to reproduce 'levels'" in capfd.readouterr().err
    pushed = [path for path in (tmp_path / "of" / "kept").rglob("*") if path.is_file()]
    assert [path for path in pushed if "'seed': 7" in path.read_text()]
    assert "retrain/main" not in run("git", "ls-remote", "origin")


def test_new_data_are_looked_at_though_dvc_sees_no_change(done: Path) -> None:
    committed("results")
    (done / "copy_number.py").write_text(
        (done / "copy_number.py").read_text().replace("str(found)", "str(found) + ' new'")
    )
    committed("stands for a source that changed")
    assert retrain(done, Wanted(new_data=True)) == 0
    run("git", "fetch", "--quiet", "origin")
    noted = json.loads(run("git", "show", "origin/retrain/main:metrics/retrain.json"))
    assert noted["how"]["prepare"] == "ran"


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
