"""How far an evaluation is: a line for each step, bars where images are counted."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from pipeline.parts.progress import TrainingProgress

if TYPE_CHECKING:
    from rich.console import Console


class Shown:
    """`pipeline.scores.inputs.Told` for people; a context manager, which ends the last bar."""

    def __init__(self, console: Console | None = None) -> None:
        """`console`: where bars go (`pipeline.parts.progress.console_for`)."""
        self._console = console
        self._what = ""
        self._bar: TrainingProgress | None = None
        self._speed = _Speed()
        self._one = threading.RLock()  # work may go on side by side

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._end()

    def __call__(self, what: str, done: int, total: int) -> None:
        """`done` of `total` images of a piece of work; a step that counts none has 0 of 0."""
        with self._one:
            self._tell(what, done, total)

    def _tell(self, what: str, done: int, total: int) -> None:
        if total == 0:
            self._end()
            print(f"evaluate: {what}", flush=True)
            return
        if what != self._what:
            self._end()
            self._what, self._speed = what, _Speed()
            self._bar = TrainingProgress({what: total}, self._console).__enter__()
        assert self._bar is not None
        self._bar.update(what, done, images_per_second=self._speed.at(done))

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.__exit__()
        self._bar, self._what = None, ""


class ShownBeside:
    """`pipeline.scores.inputs.Told` of an evaluation's work beside parts in training, in the
    display of these."""

    def __init__(self, progress: TrainingProgress) -> None:
        self._progress = progress
        self._speeds: dict[str, _Speed] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """As `Shown`; a step that counts nothing is not shown."""
        if total == 0:
            return
        name = f"real images: {what}"
        self._progress.add(name, total)
        speed = self._speeds.setdefault(what, _Speed()).at(done)
        self._progress.update(name, done, images_per_second=speed)
        if done == total:
            self._progress.finish(name)


class _Speed:
    """Images a second of one piece of work."""

    def __init__(self) -> None:
        self._last = (time.monotonic(), 0)

    def at(self, done: int) -> float:
        """Since the last call; 0 where none or too many came (from a cache)."""
        now, (then, before) = time.monotonic(), self._last
        self._last = now, done
        seconds = now - then
        # A batch takes a while; what was kept is there at once.
        return (done - before) / seconds if done > before and seconds > 0.01 else 0.0
