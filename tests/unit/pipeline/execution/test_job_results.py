"""A job's results: kept from one folder, brought into another, where DVC then has nothing to do."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.execution.job_results import JobResults, names, remote_config

PIPELINE = """\
stages:
  copy:
    cmd: mkdir -p metrics && cp input artifact && cp input metrics/copy.json
    deps: [input]
    outs:
      - artifact
      - metrics/copy.json:
          cache: false
  later:
    cmd: "false"
    deps: [artifact]
    outs: [never]
"""


def project(root: Path) -> Any:
    """A DVC project without git, with one stage that works and one that does not."""
    from dvc.repo import Repo

    root.mkdir()
    repo = Repo.init(str(root), no_scm=True)
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "input").write_text("1")
    repo.close()
    return root


def reproduced(root: Path) -> list[str]:
    """The stages that `dvc repro copy` ran."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        return [stage.name for stage in repo.reproduce("copy")]


def test_what_a_job_made_is_brought_and_nothing_is_left_to_do(tmp_path: Path, monkeypatch) -> None:
    job, mine, next_job = (project(tmp_path / name) for name in ("job", "mine", "next"))
    storage = str(tmp_path / "kept")
    results = JobResults(storage, "sgan-a")
    assert results.record() is None
    assert results.restore(job) is None
    results.note({"status": "RUNNING"})
    with pytest.raises(UserError, match="sgan-a has left nothing"):
        results.fetch(mine)
    monkeypatch.chdir(job)
    assert reproduced(job) == ["copy"]
    monkeypatch.chdir(tmp_path)  # wherever the person stands
    results.push(job)
    assert results.fetch(mine) == ["copy"]
    assert (mine / "artifact").read_text() == (mine / "metrics" / "copy.json").read_text() == "1"
    monkeypatch.chdir(mine)
    assert reproduced(mine) == []
    assert JobResults(storage, "sgan-b").restore(next_job) == "sgan-a"
    assert (next_job / "dvc.lock").read_bytes() == (job / "dvc.lock").read_bytes()
    assert names(storage) == ["sgan-a"]


def test_outputs_that_are_gone_leave_the_checkout_as_it_was(tmp_path: Path) -> None:
    mine = project(tmp_path / "mine")
    (mine / "dvc.lock").write_text("schema: '2.0'\n")
    left = tmp_path / "kept" / "jobs" / "sgan-a" / "files"
    left.mkdir(parents=True)
    (left / "dvc.lock").write_text("not: [a lock")
    with pytest.raises(UserError, match="DVC, with "):
        JobResults(str(tmp_path / "kept"), "sgan-a").fetch(mine)
    assert (mine / "dvc.lock").read_text() == "schema: '2.0'\n"


def test_only_what_the_pipeline_writes_is_brought(tmp_path: Path) -> None:
    left = tmp_path / "kept" / "jobs" / "sgan-a" / "files"
    for name in ("dvc.lock", "metrics/a.json", "pipeline/cli.py", ".dvc/config"):
        (left / name).parent.mkdir(parents=True, exist_ok=True)
        (left / name).write_text(json.dumps(name))
    root = tmp_path / "mine"
    root.mkdir()
    JobResults(str(tmp_path / "kept"), "sgan-a").restore(root)
    brought = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert brought == {"dvc.lock", "metrics/a.json"}


def test_storage_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(UserError, match=r"cannot be written: .*is a file, where a folder"):
        JobResults(str(tmp_path / "kept"), "sgan-a").note({"status": "RUNNING"})


def test_the_remote_lies_below_the_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    assert remote_config("/srv/sgan") == {"url": "/srv/sgan/dvc"}
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio:9000")
    assert remote_config("s3://b/x") == {
        "url": "s3://b/x/dvc",
        "endpointurl": "http://minio:9000",
    }


def test_a_folder_holds_what_the_job_left_in_it_and_nothing_of_an_earlier_stack(
    tmp_path: Path, monkeypatch
) -> None:
    """plots/levels has a file a level: of three levels before, two are left."""
    job, mine = (project(tmp_path / name) for name in ("job", "mine"))
    for root in (job, mine):
        text = PIPELINE.replace("mkdir -p metrics &&", "mkdir -p metrics plots/levels &&")
        text = text.replace("      - artifact\n", "      - artifact\n      - plots/levels:\n", 1)
        text = text.replace("plots/levels:\n", "plots/levels:\n          cache: false\n")
        (root / "dvc.yaml").write_text(
            text.replace("cp input artifact", "cp input artifact && cp input plots/levels/0")
        )
    monkeypatch.chdir(job)
    assert reproduced(job) == ["copy"]
    JobResults(str(tmp_path / "kept"), "sgan-a").push(job)
    for name in ("levels/0", "levels/1", "samples.png"):
        (mine / "plots" / name).parent.mkdir(parents=True, exist_ok=True)
        (mine / "plots" / name).write_text("earlier")
    JobResults(str(tmp_path / "kept"), "sgan-a").fetch(mine)
    left = {path.relative_to(mine / "plots").as_posix() for path in (mine / "plots").rglob("*.*")}
    left |= {path.name for path in (mine / "plots" / "levels").iterdir()}
    assert left == {"samples.png", "0"}
    monkeypatch.chdir(mine)
    assert reproduced(mine) == []
