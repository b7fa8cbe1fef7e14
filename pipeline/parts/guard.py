"""What keeps a stage from running twice, from outliving `dvc repro`, and from dying half-way."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UserError
from pipeline.processes import is_alive

if TYPE_CHECKING:
    import psutil

_POLL_S = 0.5
_GRACE_S = 30.0
_AGAIN_S = 0.05
_LOCK_WAIT_S = 60.0
_SHELLS = {"sh", "bash", "dash", "zsh", "fish", "ksh"}


class Guard:
    """Whether this stage has been asked to stop, and by which signal.

    A stop ends the stage at once, except inside `checkpointing`, which goes on to its next poll.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._checkpointing = self._repeated = False
        self.signal_number = 0

    def should_stop(self) -> bool:
        """True once a stop was asked for: poll it between steps."""
        return self._event.is_set()

    @contextmanager
    def checkpointing(self) -> Iterator[None]:
        """Work that polls `should_stop` and saves before it ends.

        Raises SystemExit (128 + signal) at its end where a stop came too late to be polled.
        """
        self._checkpointing = True
        try:
            yield
        finally:
            self._checkpointing = False
        if self.should_stop():
            raise SystemExit(128 + self.signal_number)

    def stop(self, number: int) -> None:
        """Stop, in the main thread; the process is ended the hard way if it takes over 30 s.

        Raises SystemExit (128 + number) outside `checkpointing`.
        """
        if self._repeated:
            self._repeated = False
            raise SystemExit(128 + number)
        if self._event.is_set():
            os._exit(128 + number)
        self.signal_number = number
        self._event.set()
        timer = threading.Timer(_GRACE_S, os._exit, (128 + number,))
        timer.daemon = True
        timer.start()
        if not self._checkpointing:
            raise SystemExit(128 + number)

    def repeat(self) -> None:
        """Stop once more, from a moment on: the first time led to nothing."""
        self._repeated = True
        main, number = threading.main_thread().ident, self.signal_number
        assert main is not None
        again = threading.Timer(_AGAIN_S, signal.pthread_kill, (main, number))
        again.daemon = True
        again.start()


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
        waiting = f"waiting up to {_LOCK_WAIT_S:.0f} s for it"
        print(f"Stage {stage} is still running here; {waiting}", flush=True)
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
        guard.stop(number)

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        with _swallowed_again(guard):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _swallowed_again(guard: Guard) -> Iterator[None]:
    """A handler's SystemExit that comes inside a weak reference's callback or a `__del__` goes no
    further than there, and Python tells only this hook: the stop is then repeated."""
    told = sys.unraisablehook

    def repeat(unraisable: "sys.UnraisableHookArgs") -> None:
        if isinstance(unraisable.exc_value, SystemExit) and guard.should_stop():
            guard.repeat()
        else:
            told(unraisable)

    sys.unraisablehook = repeat
    try:
        yield
    finally:
        sys.unraisablehook = told


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
        while _is_below_dvc(watched) and all(is_alive(process) for process in watched):
            time.sleep(_POLL_S)
        if not guard.should_stop():
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _is_below_dvc(parents: "list[psutil.Process]") -> bool:
    """Whether DVC was still there when `parents` were looked up: otherwise the system's first
    process has adopted this one."""
    if not parents:
        return False
    return parents[-1].pid != 1 or parents[-1].name().startswith(("python", "dvc"))
