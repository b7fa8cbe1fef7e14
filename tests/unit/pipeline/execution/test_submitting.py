"""`sgan submit` from the person's side: which job server, whether to stop, what to fetch."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.execution import submitting
from pipeline.execution.job_results import JobResults

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
