"""`sgan submit` from the person's side: which job server, whether to stop, what to fetch."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cluster.job_server import JobLost
from pipeline.errors import UserError
from pipeline.execution import submitting
from pipeline.execution.job_results import JobResults
from pipeline.execution.submission import Submission

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS", "SGAN_STORAGE"):
        monkeypatch.delenv(name, raising=False)


def test_the_address_is_the_options_or_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="which cluster"):
        submitting.address_of(None)
    monkeypatch.setenv("RAY_ADDRESS", "http://one:8265/")
    assert submitting.address_of(None) == "http://one:8265"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "https://two")
    assert submitting.address_of(None) == "https://two"
    assert submitting.address_of("http://three:1") == "http://three:1"


def test_the_heads_other_port_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    with pytest.raises(UserError, match=r"RAY_ADDRESS head:6379: .* like http://host:8265"):
        submitting.address_of(None)


@pytest.mark.parametrize(
    ("answer", "stops"), [("s\n", True), ("Stop\n", True), ("d\n", False), ("\n", False)]
)
def test_the_person_decides_whether_the_job_stops(monkeypatch, answer: str, stops: bool) -> None:
    monkeypatch.setattr(sys, "stdin", _Terminal(answer))
    assert submitting._asked_to_stop("a") is stops


def test_without_a_person_the_job_goes_on() -> None:
    assert submitting._asked_to_stop("a") is False


class _Terminal:
    def __init__(self, answer: str) -> None:
        self._answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._answer

    def fileno(self) -> int:
        raise OSError


def test_a_job_that_left_nothing_is_refused_and_others_are_named(tmp_path: Path) -> None:
    root, storage = tmp_path / "project", str(tmp_path / "kept")
    root.mkdir()
    shutil.copy(ROOT / "params.yaml", root)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    with pytest.raises(UserError, match=r"is a folder of the cluster's head and not of this mach"):
        submitting.fetch(root, "", storage, [])
    Path(storage).mkdir()
    with pytest.raises(UserError, match=r"no job sgan-[0-9a-f]{12} has left .* none at all"):
        submitting.fetch(root, "", storage, [])
    JobResults(storage, "sgan-other").note({"status": "FAILED"})
    with pytest.raises(UserError, match=r"no job mine has left .*; there are sgan-other"):
        submitting.fetch(root, "mine", storage, [])
    with pytest.raises(UserError, match=r"sgan-other has left nothing in .*: no stage ended"):
        submitting.fetch(root, "sgan-other", storage, [])


def test_a_job_that_is_lost_over_and_over_is_an_error_and_no_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[str] = []

    class Server:
        def __init__(self, _: str) -> None:
            pass

        def newest(self, _: str) -> None:
            return None

        def follow(self, job: str, _: object) -> None:
            raise JobLost("the process that ran it on the head has died")

    def start(*_: object) -> str:
        started.append(f"sgan-1-{len(started)}")
        return started[-1]

    ready = Submission("sgan-1", {}, "s3://b", {}, (), "")
    monkeypatch.setattr(submitting, "JobServer", Server)
    monkeypatch.setattr(submitting, "prepare", lambda *_: ready)
    monkeypatch.setattr(submitting, "_start", start)
    status = submitting.submit(tmp_path, address="http://h:1", storage=None, arguments=())
    assert (status, len(started)) == (1, 4)
    told = capsys.readouterr()
    assert told.out.count("submitted again") == 3
    assert told.err.startswith("error: sgan-1-3 was lost: the process that ran it on the head has")
