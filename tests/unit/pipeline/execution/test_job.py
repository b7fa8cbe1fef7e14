"""Inside a job: what is refused, and the workspace without git."""

import json
import os
import shutil
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.execution import job
from pipeline.execution.job_results import JobResults

ROOT = Path(__file__).resolve().parents[4]


def test_it_is_refused_outside_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    with pytest.raises(UserError, match="use `sgan submit`"):
        job.run("/srv/sgan", [])


def test_the_stages_connect_without_the_jobs_package(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"runtime_env": {"working_dir": "gcs://x.zip"}, "metadata": {"job_submission_id": "j"}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(given))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    assert job._submission() == "j"
    assert json.loads(os.environ["RAY_JOB_CONFIG_JSON_ENV_VAR"]) == given | {"runtime_env": {}}


def test_the_workspace_is_a_copy_that_dvc_takes_without_git(tmp_path: Path) -> None:
    from dvc.repo import Repo

    package = tmp_path / "package"
    (package / ".dvc").mkdir(parents=True)
    (package / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    with job._workspace(package, "s3://bucket/x") as folder:
        with Repo(str(folder)) as repo:
            assert repo.config["core"]["no_scm"] is True
            assert repo.config["remote"]["sgan-jobs"]["url"] == "s3://bucket/x/dvc"
    assert not folder.exists()
    assert not (package / ".dvc" / "config.local").exists()


def test_where_mlflow_is_away_the_address_is_named_and_no_job_seems_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"metadata": {"job_submission_id": "j"}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(given))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    for name in ("SGAN_STORAGE", "SGAN_CLONE"):
        monkeypatch.setenv(name, "")  # put back: the job says them anew
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"the MLflow server at http://127.0.0.1:9 does not answer"):
        job.run(str(tmp_path / "kept"), [], name="sgan-a")
    assert JobResults(str(tmp_path / "kept"), "sgan-a").record() is None


def test_a_folder_that_holds_what_mlflow_has_not_got_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "package").mkdir()
    with job._workspace(tmp_path / "package", "s3://bucket/x") as folder:
        (folder / ".runs" / "mlflow").mkdir(parents=True)
        (folder / ".runs" / "mlflow" / "1f.json").write_text("{}")
    assert f"kept on the head, {folder}" in capsys.readouterr().err
    assert (folder / ".runs" / "mlflow" / "1f.json").exists()
    shutil.rmtree(folder.parent)
