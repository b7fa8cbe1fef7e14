"""A retraining from a stale project to a branch: real git, DVC and remotes, small stages."""

from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.execution.retraining.course import Wanted, retrain
from tests.small_project import committed


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
