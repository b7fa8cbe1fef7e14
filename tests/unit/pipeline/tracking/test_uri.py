"""Addresses of MLflow's pages: they work, and hold no credentials."""

from pathlib import Path

import pytest

from pipeline.tracking.uri import interface, links_note, tracking_uri


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("sqlite:///mlflow.db", "http://127.0.0.1:5000"),
        ("postgresql://me:secret@db/mlflow", "http://127.0.0.1:5000"),
        ("https://mlflow.example/", "https://mlflow.example"),
        ("http://me:p@ss@mlflow.example:8080/a/b?token=c#d", "http://mlflow.example:8080/a/b"),
    ],
)
def test_where_a_person_sees_the_runs(uri: str, shown: str) -> None:
    assert interface(uri) == shown


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("sqlite:///mlflow.db", "sqlite:////project/mlflow.db"),
        ("sqlite:///below/a.db?timeout=9", "sqlite:////project/below/a.db?timeout=9"),
        ("sqlite:////kept/mlflow.db", "sqlite:////kept/mlflow.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("postgresql://db/mlflow", "postgresql://db/mlflow"),
    ],
)
def test_a_relative_file_is_the_project_s(
    given: str, taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queued experiment's own folder is deleted with it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    assert tracking_uri(Path("/project")) == taken


def test_a_credential_in_the_path_is_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "abcdefgh1234")
    assert interface("https://mlflow.example/abcdefgh1234") == ""


def test_what_a_reader_needs_to_follow_the_links() -> None:
    assert "make ui" in links_note("sqlite:///mlflow.db")
    assert links_note("https://mlflow.example") == ""
