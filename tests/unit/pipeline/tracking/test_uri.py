"""Addresses of MLflow's pages: they work, and hold no credentials."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.tracking.uri import check_reachable, interface, links_note, no_answer, tracking_uri


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


def answering(status: int, kind: str) -> type[BaseHTTPRequestHandler]:
    """A server that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    return Handler


def test_what_answers_and_is_not_mlflow_is_called_so(
    serve: Callable[..., str], tmp_path: Path
) -> None:
    """A plain web server, and one that shows a page to log in whatever it is asked."""
    for uri, told in (
        (serve(tmp_path), r"404 File not found, text/html"),
        (serve(handler=answering(200, "text/html")), "200 OK, text/html"),
    ):
        with pytest.raises(UserError, match=rf"^what answers at {uri} .* no MLflow server: {told}"):
            check_reachable(uri)


@pytest.mark.parametrize(("status", "kind"), [(404, "application/json"), (401, "text/html")])
def test_an_mlflow_that_knows_no_such_experiment_or_nobody_yet(
    serve: Callable[..., str], status: int, kind: str
) -> None:
    check_reachable(serve(handler=answering(status, kind)))


def test_a_server_that_is_only_just_starting_is_waited_for(serve: Callable[..., str]) -> None:
    with pytest.raises(ConnectionError, match="answered 502 Bad Gateway"):
        check_reachable(serve(handler=answering(502, "text/html")))


def test_a_proxy_in_the_way_is_named(no_proxies: pytest.MonkeyPatch) -> None:
    no_proxies.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError):
        check_reachable("http://mlflow.example:5000")
    assert "by way of http_proxy=http://127.0.0.1:9: " in no_answer("http://mlflow.example:5000")
