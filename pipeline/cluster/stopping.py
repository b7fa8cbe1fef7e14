"""Ending work on the cluster so that it can save first: what the driver does, what a task hears."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# Of the ten seconds that a spot machine or a person gives, what saving may take.
SAVING_S = 8.0


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """In a task: whether its driver has cancelled it, or its machine is ending (SIGTERM).

    Ray cancels a task by the handler of SIGINT, which here only takes a note: the task goes on to
    where it can save, and returns.
    """
    noted: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda n, _: noted.append(n)) for number in numbers}
    try:
        yield lambda: bool(noted)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end(tasks: Sequence[Any]) -> None:
    """In the driver: cancel tasks, give them 8 s to save, then end them by force."""
    import ray

    waiting = list(tasks)
    for ref in waiting:
        ray.cancel(ref, recursive=False)
    if waiting:
        _, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=SAVING_S)
    for ref in waiting:
        ray.cancel(ref, force=True)


class Bell:
    """An actor that a task rings for the actors that it runs, which Ray does not cancel."""

    def __init__(self) -> None:
        import asyncio

        self._rung = asyncio.Event()

    async def ring(self) -> None:
        """From now on it has rung."""
        self._rung.set()

    async def heard(self) -> None:
        """Returns once it has rung."""
        await self._rung.wait()


class Listener:
    """Whether a `Bell` has rung; a few microseconds a call, so that every step may ask. One that
    died has not: whoever owned it ends this work by other means."""

    def __init__(self, bell: Any) -> None:
        self._bell, self._answer = bell, bell.heard.remote()
        self._asked = 0.0
        self._rung = False

    def __call__(self) -> bool:
        import ray

        now = time.monotonic()
        if not self._rung and now - self._asked > 0.2:
            self._asked = now
            if ray.wait([self._answer], timeout=0)[0]:
                try:
                    ray.get(self._answer)
                    self._rung = True
                except ray.exceptions.RayError:  # it died, or cannot be reached for a moment
                    self._answer = self._bell.heard.remote()
        return self._rung
