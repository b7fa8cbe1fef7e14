"""Parts of several executions that share a storage are trained by one of them, in turn."""

import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

from pipeline.errors import UserError
from pipeline.parts.checkpoints import Checkpoints
from pipeline.parts.part import Part
from pipeline.parts.running import Stopped
from pipeline.storage.lease import Lease
from pipeline.storage.store import Storage

LEASE = "lease.json"
_POLL_S = 1.0
Say = Callable[[str], None]
Done = Callable[[str, dict[str, Any]], None]


class Turns:
    """`with Turns(…) as turns: for mine in turns: …` trains what no other execution is training.

    Every round yields the parts whose leases this process has; their training is the loop's body.
    Then it waits for what others train, and takes their results; what another gave up comes in a
    later round.

    Args:
        parts: what is not finished.
        on_done: called with name and result of what another finished meanwhile (`reused` is True).
        say: shows a line.
        should_stop: whether this process has to end.
        pause_seconds: between two looks at what others do.

    Raises:
        Stopped: `should_stop` said so while it waited.
        UserError: another has taken a lease over, so that training here was stopped.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        on_done: Done,
        say: Say,
        should_stop: Callable[[], bool],
        *,
        pause_seconds: float = _POLL_S,
    ) -> None:
        self._parts, self._on_done, self._say = list(parts), on_done, say
        self._asked_to_stop, self._pause = should_stop, pause_seconds
        self._leases = {part.name: self._lease(part) for part in parts}
        self._told: dict[str, str] = {}

    def __enter__(self) -> "Turns":
        for storage in {
            lease.storage.uri: lease.storage for lease in self._leases.values()
        }.values():
            storage.sweep()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for lease in self._leases.values():
            lease.release()
        if isinstance(error, Stopped) and not self._asked_to_stop():
            self._explain_loss()

    def __iter__(self) -> Iterator[list[Part]]:
        waiting = self._parts
        while waiting:
            waiting = [part for part in waiting if not self._finished(part)]
            mine = [part for part in waiting if self._leases[part.name].take()]
            waiting = [part for part in waiting if part not in mine]
            for part in waiting:
                self._tell(part)
            # Another may have finished it between the look and the lease.
            mine = [part for part in mine if not self._finished(part)]
            if mine:
                self._warn_without_leases(mine)
                yield mine
                for part in mine:
                    self._leases[part.name].release()
            elif waiting:
                self._wait()

    def should_stop(self) -> bool:
        """Whether to stop: asked to, or a lease is lost."""
        return self._asked_to_stop() or any(lease.lost for lease in self._leases.values())

    @staticmethod
    def _lease(part: Part) -> Lease:
        return Lease(Storage(part.placement.storage), f"{part.folder}/{LEASE}")

    def _finished(self, part: Part) -> bool:
        result = Checkpoints(Storage(part.placement.storage), part.folder).result()
        if result is None:
            return False
        self._leases[part.name].release()
        self._on_done(part.name, {**result, "reused": True})
        return True

    def _tell(self, part: Part) -> None:
        holder = self._leases[part.name].holder
        who = f"{holder.who}, since {holder.since}" if holder else "another execution"
        if self._told.get(part.name) != who:
            self._told[part.name] = who
            self._say(f"{part.name} is being trained by {who}; waiting for its result")

    def _wait(self) -> None:
        end = time.monotonic() + self._pause
        while time.monotonic() < end:
            if self._asked_to_stop():
                raise Stopped
            time.sleep(min(0.2, self._pause))

    def _warn_without_leases(self, mine: list[Part]) -> None:
        leases = [self._leases[part.name] for part in mine]
        bare = {lease.storage.uri for lease in leases if not lease.kept}
        bare -= set(self._told)
        for uri in bare:
            self._told[uri] = "no leases"
            self._say(
                f"{uri} knows no conditional writes: two executions of one part are not kept apart"
            )

    def _explain_loss(self) -> None:
        for name, lease in self._leases.items():
            if lease.lost:
                by = f"by {lease.holder.who}" if lease.holder else "by another execution"
                raise UserError(
                    f"{name}: its lease was taken over {by}, for which this process had shown no "
                    "life; training here was stopped, its checkpoint is kept. Run again: it waits "
                    "for the other and takes its result"
                )
