"""What Ray Tune tells of a search as it goes on, to whoever follows it in this process."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from ray.tune import Callback


class Follower(Protocol):
    """Who follows a search."""

    def heard(self, result: Mapping[str, Any], running: int) -> None:
        """A result of a trial, with `done` where it ends the trial; trials that run now."""
        ...

    def turn(self, running: int) -> None:
        """One turn of Ray Tune's loop is over, several a second; trials that run now."""
        ...


_following: list[Follower] = []


@contextmanager
def followed_by(follower: Follower) -> Iterator[None]:
    """Inside it, what Ray Tune tells in this process goes to `follower`."""
    _following.append(follower)
    try:
        yield
    finally:
        _following.pop()


class Telling(Callback):
    """Holds nothing, since Ray Tune writes its callbacks to a file and reads them again as it goes
    on with a search."""

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any
    ) -> None:
        """To the follower."""
        _following[-1].heard(result, _running(trials))

    def on_step_end(self, iteration: int, trials: list[Any], **_: Any) -> None:
        """To the follower."""
        _following[-1].turn(_running(trials))


def _running(trials: list[Any]) -> int:
    return sum(trial.status == trial.RUNNING for trial in trials)
