"""What keeps a stage from running twice, from outliving `dvc repro`, and from dying half-way."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

_POLL_S = 0.5
_GRACE_S = 30.0
_LOCK_WAIT_S = 60.0
_SHELLS = {"sh", "bash", "dash", "zsh", "fish", "ksh"}


class Guard:
    """Whether this stage has been asked to stop, and by which signal."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.signal_number = 0

    def should_stop(self) -> bool:
        """True once a stop was asked for: poll it between steps."""
        return self._event.is_set()

    def stop(self, number: int) -> None:
        """Ask for a stop; the process is ended the hard way if it takes over 30 s."""
        if self._event.is_set():
            return
        self.signal_number = number
        self._event.set()
        timer = threading.Timer(_GRACE_S, os._exit, (128 + number,))
        timer.daemon = True
        timer.start()


@contextmanager
def guarded(stage: str, root: Path) -> Iterator[Guard]:
    """Hold the stage's lock, and turn signals and the death of `dvc` into a stop.

    DVC leaves a stage running when it is itself killed, so the stage watches the processes above
    it. A second run of the same stage waits up to a minute for the first to end.

    Raises UserError where another run of the stage holds the lock for longer.
    """
    from filelock import FileLock, Timeout

    folder = root / ".runs" / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{stage}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"Stage {stage} is still running here; waiting up to {_LOCK_WAIT_S:.0f} s for it")
        try:
            lock.acquire(timeout=_LOCK_WAIT_S)
        except Timeout:
            raise UserError(
                f"stage {stage!r} is already running in {root} (lock {folder / stage}.lock); "
                "wait for it to end, or end it, and run again"
            ) from None
    guard = Guard()
    try:
        with _signals(guard):
            _watch_parents(guard)
            yield guard
    finally:
        lock.release()


@contextmanager
def _signals(guard: Guard) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _: Any) -> None:
        if guard.should_stop():
            os._exit(128 + number)
        guard.stop(number)

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch_parents(guard: Guard) -> None:
    """Under DVC (DVC_STAGE is set): stop when any process up to DVC itself is gone."""
    if "DVC_STAGE" not in os.environ:
        return
    import psutil

    watched = []
    for parent in psutil.Process().parents():
        watched.append(parent)
        if parent.name() not in _SHELLS:
            break

    def watch() -> None:
        while all(_alive(process) for process in watched):
            time.sleep(_POLL_S)
        guard.stop(signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _alive(process: Any) -> bool:
    import psutil

    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
