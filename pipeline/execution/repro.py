"""`dvc repro` as a child process that is stopped with care: its stages save before they end."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from pipeline.processes import is_alive

_ENGINES = Path("infra/engines.env")

_POLL_S = 0.2
# A stop reaches every process of the job when it comes from Ray; who sends it to this one alone
# has it passed on after so long.
_PASS_ON_S = 2.0
_STOPPING_S = 35.0

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


# To look at the data's source again, which DVC does not watch: `prepare` runs whatever it says.
PREPARE_AGAIN = ("--force", "--single-item", "prepare")


def repro(
    folder: Path,
    arguments: Sequence[str],
    stop: list[int],
    more: Mapping[str, str] | None = None,
) -> int:
    """`dvc repro` until it and all that it started have ended; returns its exit status.

    Args:
        folder: the project.
        arguments: of `dvc repro`.
        stop: what `stoppable` notes; a signal there ends it, and 128 + its number is returned.
        more: variables of its environment.
    """
    command = [sys.executable, "-m", "dvc", "repro", *arguments]
    environment = environment_of(folder) | dict(more or {})
    child = subprocess.Popen(command, cwd=folder, env=environment, preexec_fn=_end_with_parent)
    asked = 0.0
    while child.poll() is None or (stop and _descendants()):
        time.sleep(_POLL_S)
        if not stop:
            continue
        asked = asked or time.monotonic()
        waited = time.monotonic() - asked
        if waited > _PASS_ON_S and child.poll() is None:
            child.send_signal(stop[0])
        if waited > _STOPPING_S:
            for process in _descendants():
                process.kill()
    _bury_orphans()
    return 128 + stop[0] if stop else child.returncode


def environment_of(folder: Path) -> dict[str, str]:
    """The stages': this Python is their `python`, and the engines are as everywhere."""
    environment = dict(os.environ)
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # without, each process pays 15 s of imports
    environment.pop("DVC_ROOT", None)
    if (folder / _ENGINES).is_file():
        for line in (folder / _ENGINES).read_text().splitlines():
            name, _, value = line.partition("=")
            if value and not name.startswith("#"):
                environment.setdefault(name, value)
    return environment


@contextmanager
def stoppable() -> Iterator[list[int]]:
    """Inside, a signal to end is noted in the list, and orphans of the stages stay below this
    process, so that it can wait for their last checkpoint."""
    asked: list[int] = []

    def note(number: int, _: Any) -> None:
        asked.append(number)

    _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # and not after: who adopts orphans is taken for their DVC
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield asked
    finally:
        _prctl(_PR_SET_CHILD_SUBREAPER, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _descendants() -> list[psutil.Process]:
    """The living processes below this one."""
    found = psutil.Process().children(recursive=True)
    return [process for process in found if is_alive(process)]


def _bury_orphans() -> None:
    """Collect the ended orphans that this process has inherited: where Ray is a container's first
    process, nobody else would, and Ray would wait for them as if they lived."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _end_with_parent() -> None:
    """In a child that is about to begin: SIGTERM when this process is killed (on Linux)."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
