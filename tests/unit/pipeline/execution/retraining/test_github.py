"""Pull requests through GitHub's REST interface, against a server that speaks it."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline.errors import UserError
from pipeline.execution.retraining.github import GitHub


class Pulls(BaseHTTPRequestHandler):
    """GitHub's `pulls` of one repository, as its documentation has them; keeps them in a list."""

    server: Any

    def do_GET(self) -> None:
        wanted = {name: one[0] for name, one in parse_qs(urlsplit(self.path).query).items()}
        found = [
            pull
            for pull in self.server.pulls
            if f"owner:{pull['head']}" == wanted["head"] and pull["base"] == wanted["base"]
        ]
        self._answer(200, found)

    def do_POST(self) -> None:
        if self.headers["Authorization"] != "Bearer right":
            self._answer(403, {"message": "Resource not accessible by integration"})
            return
        number = len(self.server.pulls) + 1
        pull = {**self._content(), "number": number, "html_url": f"https://hub/pull/{number}"}
        self.server.pulls.append(pull)
        self._answer(201, pull)

    def do_PATCH(self) -> None:
        pull = self.server.pulls[int(self.path.rsplit("/", 1)[1]) - 1]
        pull.update(self._content())
        self._answer(200, pull)

    def _content(self) -> dict[str, Any]:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, status: int, content: Any) -> None:
        assert self.path.startswith("/api/v3/repos/owner/name/pulls"), self.path
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def hub() -> Any:
    """The server; `hub.pulls` is what it has, `hub.api` its address."""
    server: Any = HTTPServer(("127.0.0.1", 0), Pulls)
    server.pulls, server.api = [], f"http://127.0.0.1:{server.server_port}/api/v3"
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_it_is_opened_once_and_then_brought_up_to_date(hub: Any) -> None:
    github = GitHub("owner/name", "right", hub.api)
    assert github.propose("retrain/main", "main", "one", "text") == "https://hub/pull/1"
    assert github.propose("retrain/main", "main", "two", "x" * 70_000) == "https://hub/pull/1"
    (pull,) = hub.pulls
    assert (pull["head"], pull["base"], pull["title"]) == ("retrain/main", "main", "two")
    assert len(pull["body"]) < 65_536 and "cut here" in pull["body"]
    assert github.propose("retrain/main", "release", "three", "") == "https://hub/pull/2"


def test_what_github_says_is_told_and_the_token_is_not(hub: Any) -> None:
    with pytest.raises(UserError, match=r"403 .*not accessible.*pull-requests: write") as told:
        GitHub("owner/name", "a-secret", hub.api).propose("b", "main", "title", "")
    assert "a-secret" not in str(told.value)
    with pytest.raises(UserError, match="The branch is pushed; the same command again"):
        GitHub("owner/name", "right", "http://127.0.0.1:9").propose("b", "main", "title", "")


def test_it_needs_a_token_and_a_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GH_TOKEN", "GITHUB_TOKEN", "GITHUB_API_URL"):
        monkeypatch.delenv(name, raising=False)
    assert GitHub.from_environment("a/b") is None
    monkeypatch.setenv("GITHUB_TOKEN", "of the workflow")
    monkeypatch.setenv("GH_TOKEN", "of an app")
    assert GitHub.from_environment(None) is None
    found = GitHub.from_environment("a/b")
    assert found == GitHub("a/b", "of an app", "https://api.github.com")
