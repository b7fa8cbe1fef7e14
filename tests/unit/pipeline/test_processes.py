"""Whether a process runs, also while it ends."""

import subprocess
import sys

import psutil
import pytest

from pipeline.processes import is_alive


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
