"""Whether a process runs, also while it ends."""

import subprocess
import sys

import psutil
import pytest

from pipeline.processes import is_alive, still_runs


@pytest.fixture
def child():
    started = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield started
    started.kill()
    started.wait()


def test_a_process_is_alive_until_it_ends(child):
    process = psutil.Process(child.pid)
    assert is_alive(process)
    child.kill()
    while process.status() != psutil.STATUS_ZOMBIE:
        pass
    assert not is_alive(process)
    child.wait()
    assert not is_alive(process)


def test_one_that_ends_between_two_questions_is_gone(child, monkeypatch):
    process = psutil.Process(child.pid)

    def runs_then_ends() -> bool:
        child.kill()
        child.wait()
        return True

    monkeypatch.setattr(process, "is_running", runs_then_ends)
    assert not is_alive(process)


def test_a_number_that_another_process_has_now_is_not_the_one_that_was(child):
    began = psutil.Process(child.pid).create_time()
    assert still_runs(child.pid, began + 0.5, within=1) is True
    assert still_runs(child.pid, began - 1.5, within=1) is False
    child.kill()
    child.wait()
    assert still_runs(child.pid, began, within=1) is False


def test_what_may_not_be_asked_about_is_not_known(child, monkeypatch):
    def refused(self) -> str:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "status", refused)
    assert still_runs(child.pid, 0.0, within=1) is None
    assert is_alive(psutil.Process(child.pid))
