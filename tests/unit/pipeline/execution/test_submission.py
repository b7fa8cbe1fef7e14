"""Where a job's results stay, what travels with it, and what is refused before it starts."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from pipeline.errors import UserError
from pipeline.execution import submission
from pipeline.params.loading import load

ROOT = Path(__file__).resolve().parents[4]
HEAD = "http://head:8265"
SERVER = "http://mlflow:5000"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that holds parameters only."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(ROOT / "params.yaml", folder)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "."], cwd=folder, check=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SERVER)
    return folder


def edit(root: Path, section: str, **values: object) -> None:
    """Change a section of params.yaml."""
    params = yaml.safe_load((root / "params.yaml").read_text())
    params[section].update(values)
    (root / "params.yaml").write_text(yaml.safe_dump(params))


def test_the_same_makes_the_same_name_and_anything_else_another(root: Path) -> None:
    first = submission.prepare(root, HEAD, "s3://bucket/a", [])
    assert first.name == submission.prepare(root, HEAD, "s3://bucket/a/", []).name
    assert first.name == submission.name_of(root, "s3://bucket/a", [])
    others = {
        submission.name_of(root, "s3://bucket/b", []),
        submission.name_of(root, "s3://bucket/a", ["-f", "levels"]),
    }
    edit(root, "encoder", seed=2)
    others.add(submission.name_of(root, "s3://bucket/a", []))
    assert len(others - {first.name}) == 3


def test_the_environment_travels_by_an_allow_list(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(submission.travelling())
    given = {
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_CONFIG_FILE": "/home/me/.aws/config",
        "MLFLOW_TRACKING_TOKEN": "t",
        "SGAN_STORAGE": ".runs",
        "SGAN_SOMETHING": "plain",
        "RAY_AUTH_TOKEN": "r",
        "EDITOR": "vi",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert set(submission.travelling()) - before == {
        "AWS_SECRET_ACCESS_KEY",
        "MLFLOW_TRACKING_TOKEN",
        "SGAN_SOMETHING",
    }


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_a_profile_of_this_machine_stays(monkeypatch, tmp_path: Path, variable: str) -> None:
    (tmp_path / "config").write_text("[profile lab]\nregion = eu-west-3\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sesame")
    monkeypatch.setenv(variable, "lab")
    assert variable not in submission.travelling()


def test_the_revision_travels_where_there_is_one(root: Path) -> None:
    assert submission.prepare(root, HEAD, "s3://b", []).revision == ""
    subprocess.run(["git", "commit", "-qm", "one"], cwd=root, check=True)
    clean = submission.prepare(root, HEAD, "s3://b", [])
    assert len(clean.revision) == 40
    assert clean.environment["SGAN_GIT_REVISION"] == clean.revision
    edit(root, "encoder", seed=2)
    assert submission.prepare(root, HEAD, "s3://b", []).revision == f"{clean.revision}-dirty"


@pytest.mark.parametrize("storage", [None, ".runs", "kept", "gs://bucket"])
def test_results_that_would_die_with_the_job_are_refused(root: Path, storage: str | None) -> None:
    with pytest.raises(UserError, match="a job's folder is deleted with the job"):
        submission.prepare(root, HEAD, storage, [])


@pytest.mark.parametrize(
    ("storage", "kept"),
    [
        ("/srv/sgan/", "/srv/sgan"),
        ("file:///srv/my%20runs", "/srv/my runs"),
        ("s3://bucket/x/", "s3://bucket/x"),
    ],
)
def test_what_stays_is_an_absolute_folder_or_s3(root: Path, storage: str, kept: str) -> None:
    assert submission.kept_in(load(root / "params.yaml"), storage) == kept


def test_two_different_storages_are_refused(root: Path) -> None:
    edit(root, "runtime", storage="s3://bucket/a")
    params = load(root / "params.yaml")
    assert submission.kept_in(params, None) == "s3://bucket/a"
    with pytest.raises(UserError, match="leave one out"):
        submission.kept_in(params, "s3://bucket/b")


@pytest.mark.parametrize(
    ("storage", "uri", "where"),
    [
        ("/srv/sgan", "", "sqlite:////srv/sgan/mlflow.db"),
        ("/srv/sgan", "sqlite:////srv/sgan/runs/m.db", "sqlite:////srv/sgan/runs/m.db"),
        ("/srv/sgan", SERVER, SERVER),
        ("s3://bucket", "postgresql://u:p@db/mlflow", "postgresql://u:p@db/mlflow"),
    ],
)
def test_mlflow_is_a_server_or_below_the_storage(monkeypatch, storage, uri, where) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert submission.tracked_at(storage) == where


@pytest.mark.parametrize(
    ("storage", "uri", "message"),
    [
        ("s3://bucket", "", "is not set"),
        ("s3://bucket", "sqlite:////srv/m.db", "would be lost with the job"),
        ("/srv/sgan", "sqlite:///mlflow.db", "or unset it to track in /srv/sgan/mlflow.db"),
        ("/srv/sgan", "sqlite:////home/me/mlflow.db", "would be lost with the job"),
    ],
)
def test_runs_that_would_be_lost_are_refused(monkeypatch, storage, uri, message) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError, match=message):
        submission.tracked_at(storage)


@pytest.mark.parametrize("variable", ["MLFLOW_TRACKING_URI", "AWS_ENDPOINT_URL"])
def test_this_machines_own_address_is_refused_for_another_ones_cluster(
    root: Path, monkeypatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://me:secret@127.0.0.1:9000")
    with pytest.raises(UserError, match=rf"{variable}=http://\*\*\*@127.0.0.1:9000 is this mach"):
        submission.prepare(root, HEAD, "s3://bucket", [])
    submission.prepare(root, "http://localhost:8265", "s3://bucket", [])


def test_data_outside_the_project_is_refused_sent_or_there(root: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "1.png").write_text("one")
    edit(root, "data", source=str(photos))
    with pytest.raises(UserError, match=r"data.source = .*photos: lies outside .* --data travels"):
        submission.prepare(root, HEAD, "s3://bucket", [])
    sent = submission.prepare(root, HEAD, "s3://bucket", [], "travels")
    assert sent.environment["SGAN_DATA_SOURCE"] == ".sent-data/photos"
    assert ".sent-data/photos/1.png" in sent.contents
    there = submission.prepare(root, HEAD, "s3://bucket", [], "there")
    assert set(there.contents) == {"params.yaml"}


def test_ignored_data_in_the_project_travels_and_an_address_does_not(root: Path) -> None:
    (root / ".gitignore").write_text("/images/\n")
    (root / "images").mkdir()
    (root / "images" / "1.png").write_text("one")
    edit(root, "data", source="images")
    assert "images/1.png" in submission.prepare(root, HEAD, "s3://bucket", []).contents
    edit(root, "data", source="s3://bucket/images")
    assert "images/1.png" not in submission.prepare(root, HEAD, "s3://bucket", []).contents


def test_of_a_pattern_in_the_project_travels_what_it_names(root: Path) -> None:
    (root / ".gitignore").write_text("mine/\n")
    for name in ("a.parquet", "b.parquet", "c.txt"):
        (root / "mine" / "x").mkdir(parents=True, exist_ok=True)
        (root / "mine" / name).write_text(name)
    edit(root, "data", name="custom", source="mine/*.parquet")
    contents = submission.prepare(root, HEAD, "s3://bucket", []).contents
    assert {name for name in contents if name.startswith("mine")} == {
        "mine/a.parquet",
        "mine/b.parquet",
    }


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("../*.parquet", "name its folder and say --data travels"),
        ("../nowhere", r"say --data there .*\(here it is not\)"),
        ("..", "say --data travels to send it along; or say --data there"),
    ],
)
def test_data_outside_are_told_what_works(root: Path, source: str, told: str) -> None:
    edit(root, "data", name="custom", source=source)
    with pytest.raises(UserError, match=told):
        submission.prepare(root, HEAD, "s3://bucket", [])
