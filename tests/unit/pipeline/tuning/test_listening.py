"""Ray Tune's callback, which holds nothing."""

import pickle
from types import SimpleNamespace
from typing import Any

from pipeline.tuning.listening import Telling, followed_by


class Follower:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def heard(self, result: Any, running: int) -> None:
        self.told.append((result["objective"], running))

    def turn(self, running: int) -> None:
        self.told.append(running)


def test_whoever_follows_in_this_process_is_told_by_a_callback_that_was_on_a_disk() -> None:
    callback = pickle.loads(pickle.dumps(Telling()))
    trials = [SimpleNamespace(status=status, RUNNING="RUNNING") for status in ("RUNNING", "DONE")]
    outer, inner = Follower(), Follower()
    with followed_by(outer):
        with followed_by(inner):
            callback.on_trial_result(1, trials, trials[0], {"objective": 0.5})
        callback.on_step_end(1, trials)
    assert inner.told == [(0.5, 1)]
    assert outer.told == [1]
