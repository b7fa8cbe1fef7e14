"""An errand beside other work: it takes what room that leaves, and nobody waits for it.

It is for what fills a cache: whoever needs the rest computes it. So it is given to Ray only where
the cluster's nodes, as they are, hold it beside all that is not done yet; nothing else ever queues
behind it, and no autoscaler starts a node for it. What goes wrong with it is a line.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.cluster.errand import Errand, Told, performed
from pipeline.cluster.room import Need, fits
from pipeline.cluster.session import Session
from pipeline.cluster.supply import Bundle
from pipeline.errors import UserError

_POLL_S = 0.5
_TRIES_AGAIN = 1
_LEAST_S = 5.0  # what is told comes in twice a second, so a young piece may be older


@dataclass(frozen=True)
class Aside:
    """What may be done beside other work.

    Attributes:
        errand: what is done, and what it takes of a node. It writes no files.
        inputs: what it reads, by name.
        otherwise: who does what it leaves undone, for messages.
        in_portions: ends of the names of pieces that are kept bit by bit; of another one all is
            lost when it is ended.
    """

    errand: Errand
    inputs: Mapping[str, Bundle]
    otherwise: str
    in_portions: tuple[str, ...] = ()


class Beside:
    """An `Aside` on the cluster that is connected.

    Args:
        make: called once, when there is room; None where there is nothing to do.
        need: cores and GPUs that Ray sets aside for it.
        told: hears its progress.
        say: shows a line.
        session: the cluster that RAY_ADDRESS names; None for a local Ray, whose workers have the
            driver's files.
    """

    def __init__(
        self,
        make: Callable[[], Aside | None],
        need: Mapping[str, float],
        told: Told,
        say: Callable[[str], None],
        session: Session | None = None,
    ) -> None:
        self._make, self._need, self._told, self._say = make, dict(need), told, say
        self._session = session
        self._aside: Aside | None = None
        self._answers: Any = None
        self._over = False
        self._piece = _Piece()

    def look(self, others: Sequence[Need]) -> None:
        """Begin it where there is room beside what `others` need; hand on what it has told."""
        with _Excused(self):
            if self._aside is None and not self._over and fits([*others, Need("", self._need)]):
                self._begin()
            self._hear(0.0)

    def finish(self, should_stop: Callable[[], bool]) -> None:
        """The other work is done: a piece that is half done or more, and not kept in portions,
        may be ended, but takes no longer than it took so far (or five seconds); then `end`."""
        piece = self._piece
        in_portions = self._aside.in_portions if self._aside else ()
        until = time.monotonic() + max(_LEAST_S, piece.seconds)
        with _Excused(self):
            while (
                self._answers is not None
                and self._piece.what == piece.what
                and piece.is_mostly_done
                and not piece.what.endswith(in_portions)
                and time.monotonic() < until
                and not should_stop()
            ):
                self._hear(_POLL_S)
        self.end()

    def end(self) -> None:
        """It is over, done or not; what it has kept by now stays."""
        import ray

        answers, self._answers, self._over = self._answers, None, True
        if answers is not None:
            assert self._aside is not None
            ray.cancel(answers, force=True)
            self._say(f"{self._aside.errand.name}: {self._aside.otherwise} does the rest")

    def _begin(self) -> None:
        self._over = True  # unless it goes on from here: it is tried once
        aside = self._make()
        if aside is None:
            return
        # Ray's own retries lose what is told twice, and no more; and where memory runs out, Ray
        # ends what may be retried and began last.
        errand = replace(aside.errand, need=self._need)
        self._answers = performed(errand, aside.inputs, self._session, retries=_TRIES_AGAIN)
        self._aside, self._over = aside, False

    def _hear(self, seconds: float) -> None:
        import ray

        while self._answers is not None and ray.wait([self._answers], timeout=seconds)[0]:
            kind, *rest = ray.get(next(self._answers))
            if kind == "told":
                self._piece = self._piece.at(*rest)
                self._told(*rest)
            elif kind == "result":
                self._answers, self._over = None, True
            seconds = 0.0

    def _failed(self, error: Exception) -> None:
        self._answers, self._over = None, True
        cause = getattr(error, "cause", None) or error
        name, otherwise = "beside the rest", "it is done later"
        if self._aside is not None:
            name, otherwise = self._aside.errand.name, f"{self._aside.otherwise} does it"
        line = (str(cause).strip().splitlines() or [type(cause).__name__])[-1]
        self._say(f"{name}: not done here ({line}); {otherwise}")


@dataclass(frozen=True)
class _Piece:
    """What is at hand, and how far it is."""

    what: str = ""
    began: float = 0.0
    done: int = 0
    total: int = 0

    def at(self, what: str, done: int, total: int) -> "_Piece":
        """After this was told."""
        began = self.began if what == self.what else time.monotonic()
        return _Piece(what, began, done, total)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began if self.what else 0.0

    @property
    def is_mostly_done(self) -> bool:
        """By half or more, as far as it counts anything."""
        return 0 < self.total <= 2 * self.done


class _Excused:
    """`with _Excused(beside)`: what a person can mend, and a lost worker, costs a line."""

    def __init__(self, beside: Beside) -> None:
        self._beside = beside

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        import ray

        if not isinstance(error, UserError | OSError | ray.exceptions.RayError):
            return False
        self._beside._failed(error)
        return True
