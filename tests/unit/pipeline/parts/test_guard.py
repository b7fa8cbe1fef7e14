"""The guard of a stage in real processes: one at a time, and ends with its dvc."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.parts import guard

HOLD = """
import sys, time
from pathlib import Path
from pipeline.parts.guard import guarded
with guarded("levels", Path.cwd()) as guard:
    print("in", flush=True)
    {work}
print("out", flush=True)
"""
POLL = """
    with guard.checkpointing():
        print("polling", flush=True)
        while not guard.should_stop():
            time.sleep(0.02)
        Path("saved").write_text("a checkpoint")
"""
SWALLOW = """
    import weakref
    def callback(_):
        print("inside", flush=True)
        time.sleep(1)
    thing = set()
    reference = weakref.ref(thing, callback)
    del thing
    time.sleep(60)
"""
SLEEP = "time.sleep(60)"
# Seconds; a busy machine needs some, and the guard's own grace, after which everything ends, is 30.
PROMPTLY = 20


def start(folder: Path, work: str = SLEEP, **environment: str) -> subprocess.Popen:
    """A process that holds the lock of stage `levels` while it does `work`."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD.format(work=work.strip())],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def entered(process: subprocess.Popen) -> subprocess.Popen:
    """The same process, once it is inside the guard."""
    line = process.stdout.readline()
    assert line == "in\n", line + process.stdout.read()
    return process


def until(true: Callable[[], bool], seconds: float = PROMPTLY) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


@pytest.fixture
def run(tmp_path):
    started = []

    def run(*arguments: str, **environment: str) -> subprocess.Popen:
        started.append(start(tmp_path, *arguments, **environment))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def test_a_second_run_waits_for_the_first(run):
    first = entered(run())
    second = run("pass")
    assert "Stage levels is still running here; waiting" in second.stdout.readline()
    first.kill()  # the system lets go of a dead process's lock
    assert second.wait(PROMPTLY) == 0
    assert second.stdout.read() == "in\nout\n"


def test_a_second_run_gives_up_after_a_while(run, tmp_path, monkeypatch):
    entered(run())
    monkeypatch.setattr(guard, "_LOCK_WAIT_S", 0.2)
    with pytest.raises(UserError) as refused, guard.guarded("levels", tmp_path):
        pass
    assert str(refused.value).startswith(f"stage 'levels' is already running in {tmp_path}")
    assert "wait for it to end, or end it, and run again" in str(refused.value)


def test_other_stages_and_other_projects_do_not_wait(run, tmp_path):
    entered(run())
    with guard.guarded("joint", tmp_path), guard.guarded("levels", tmp_path / "elsewhere"):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_stage_at_once(run, number):
    process = entered(run())
    process.send_signal(number)
    assert process.wait(PROMPTLY) == 128 + number
    assert process.stdout.read() == ""


def test_a_signal_lets_training_save_first(run, tmp_path):
    process = entered(run(POLL))
    assert process.stdout.readline() == "polling\n"
    process.terminate()
    assert process.wait(PROMPTLY) == 143
    assert (tmp_path / "saved").read_text() == "a checkpoint"
    assert process.stdout.read() == ""


def test_a_signal_in_a_callback_that_swallows_it_ends_a_stage_too(run):
    """What is raised in a weak reference's callback goes no further."""
    process = entered(run(SWALLOW))
    assert process.stdout.readline() == "inside\n"
    process.terminate()
    assert process.wait(PROMPTLY) == 128 + signal.SIGTERM
    assert process.stdout.read() == ""


def test_a_second_signal_does_not_wait(run):
    process = entered(
        run("""
    with guard.checkpointing():
        print("training", flush=True)
        time.sleep(60)
    """)
    )
    assert process.stdout.readline() == "training\n"
    process.terminate()
    time.sleep(0.3)
    assert process.poll() is None
    process.terminate()
    assert process.wait(PROMPTLY) == 143


def test_training_that_does_not_stop_is_ended_the_hard_way(run):
    process = entered(
        run("""
    import pipeline.parts.guard
    pipeline.parts.guard._GRACE_S = 0.5
    with guard.checkpointing():
        print("training", flush=True)
        while True:
            time.sleep(0.05)
    """)
    )
    assert process.stdout.readline() == "training\n"
    process.terminate()
    assert process.wait(PROMPTLY) == 143


PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(child.pid, flush=True)
{then}
"""


def below_another(folder: Path, work: str, then: str, **environment: str) -> tuple:
    """(parent, pid of the stage that it started)."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(then=then), HOLD.format(work=work)],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    return parent, int(parent.stdout.readline())


def gone(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_stage_ends_when_its_dvc_is_killed(tmp_path):
    parent, pid = below_another(tmp_path, SLEEP, "time.sleep(60)", DVC_STAGE="levels")
    assert parent.stdout.readline() == "in\n"
    parent.kill()
    parent.wait()
    until(lambda: gone(pid))


WORK_ON = "time.sleep({seconds}); Path('done').touch()"


def test_a_stage_ends_whose_dvc_was_gone_before_it_looked(tmp_path):
    work = WORK_ON.format(seconds=2 * PROMPTLY)
    parent, pid = below_another(tmp_path, work, "", DVC_STAGE="levels")
    assert parent.wait(PROMPTLY) == 0
    until(lambda: gone(pid))
    assert not (tmp_path / "done").exists()


def test_without_dvc_a_stage_outlives_what_started_it(tmp_path):
    parent, pid = below_another(tmp_path, WORK_ON.format(seconds=2), "")
    assert parent.wait(PROMPTLY) == 0
    until(lambda: gone(pid))
    assert (tmp_path / "done").exists()


def test_signal_handlers_are_put_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with guard.guarded("levels", tmp_path) as inside:
        assert signal.getsignal(signal.SIGTERM) is not before
        assert not inside.should_stop()
    assert signal.getsignal(signal.SIGTERM) is before
