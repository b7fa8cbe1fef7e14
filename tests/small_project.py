"""A small project of git and DVC with a remote each, whose stages have the pipeline's names; and a
server that takes pull requests as GitHub does."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]

# Each stage copies a number out of params.yaml: real stages of DVC, in milliseconds.
COPY = "python copy_number.py"
COPIER = """\
import json, pathlib, sys, yaml
stage, *path = sys.argv[1:]
found = yaml.safe_load(pathlib.Path("params.yaml").read_text())
for name in path:
    found = found[name]
pathlib.Path("out").mkdir(exist_ok=True)
pathlib.Path("metrics").mkdir(exist_ok=True)
pathlib.Path("out", stage).write_text(str(found))
pathlib.Path("metrics", stage + ".json").write_text(json.dumps({"seconds": 30.0}))
"""


def _stage(name: str, param: str, *needs: str) -> dict:
    return {
        "cmd": f"{COPY} {name} {param.replace('.', ' ')}",
        "params": [param],
        "deps": [f"out/{need}" for need in needs],
        "outs": [f"out/{name}", {f"metrics/{name}.json": {"cache": False}}],
    }


PIPELINE = {
    "stages": {
        "prepare": _stage("prepare", "data.max_train"),
        "encoder": _stage("encoder", "encoder", "prepare"),
        "levels": _stage("levels", "levels", "encoder"),
        "joint": _stage("joint", "joint.seed", "levels"),
    }
}


def _create(folder: Path) -> None:
    """The clone and the bare `origin` below `folder`, everything of the project committed."""
    root = folder / "clone"
    root.mkdir()
    with chdir(root):
        run("git", "init", "--quiet", "--bare", "--initial-branch=main", "../origin.git")
        run("git", "init", "--quiet", "--initial-branch=main")
        run("git", "remote", "add", "origin", "../origin.git")
        shutil.copy(ROOT / "params.yaml", root)
        (root / "copy_number.py").write_text(COPIER)
        (root / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE, sort_keys=False))
        (root / ".gitignore").write_text("/out/\n/artifacts/\n/.runs/\n")
        (root / ".dvc").mkdir()
        config = "[core]\n    check_update = false\n    remote = kept\n"
        config += "['remote \"kept\"']\n    url = ../../kept\n"
        (root / ".dvc" / "config").write_text(config)
        (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
        committed("the project")
        run("git", "push", "--quiet", "origin", "main")


def _create_done(folder: Path) -> None:
    """The same after a run."""
    _create(folder)
    with chdir(folder / "clone"):
        run(sys.executable, "-m", "dvc", "repro", "--quiet")


@pytest.fixture
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN", "GH_TOKEN", "GITHUB_REF_NAME"):
        monkeypatch.delenv(name, raising=False)
    # Set, so that what the command sets by itself is undone after the test.
    monkeypatch.setenv("SGAN_CLONE", "of-a-test")


@pytest.fixture
def checkout(
    _alone: None, once: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A clone at its branch main, of which nothing has run; the working directory. `origin` is
    bare, DVC's remote a folder."""
    shutil.copytree(once("a small project", _create), tmp_path / "of", symlinks=True)
    monkeypatch.chdir(tmp_path / "of" / "clone")
    return Path.cwd()


@pytest.fixture
def done(
    _alone: None, once: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The same after a run, of which nothing is committed."""
    shutil.copytree(once("a small project that ran", _create_done), tmp_path / "of", symlinks=True)
    monkeypatch.chdir(tmp_path / "of" / "clone")
    return Path.cwd()


def run(*command: str) -> str:
    """What a command prints in the working directory; fails where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def committed(message: str) -> str:
    """Commit everything in the working directory; returns the commit."""
    run("git", "add", "--all")
    run("git", "commit", "--quiet", "--message", message)
    return run("git", "rev-parse", "HEAD")


def edited(root: Path, *path: str, value: object) -> None:
    """Give a setting of params.yaml another value."""
    values = yaml.safe_load((root / "params.yaml").read_text())
    inner = values
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    (root / "params.yaml").write_text(json.dumps(values))


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
