"""A search on Ray Tune, from its first trial, or from where it was stopped, to its last."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.cluster.connection import Head
from pipeline.cluster.nodes import pinned_here
from pipeline.cluster.room import room_for
from pipeline.cluster.stopping import SAVING_S, Bell
from pipeline.cluster.travel import packed
from pipeline.errors import UserError
from pipeline.params.tuning import TuneConfig
from pipeline.parts.part import Part
from pipeline.parts.running import Hub, need
from pipeline.parts.sink import ActorSender, Report
from pipeline.tuning.records import Look, Records
from pipeline.tuning.yardstick import Yardstick

RECORDS = "looks.json"
_ENGINE = "ray"  # the folder of Ray Tune's own state
_RESTARTS = 3
# Of a trial whose workers take the cores: Ray has no bundle of nothing, and a byte is not missed.
_NEXT_TO_NOTHING = {"memory": 1.0}
_LOOK_FIELDS = tuple(Look.__dataclass_fields__)


@dataclass(frozen=True)
class Search:
    """What is to be searched.

    Attributes:
        folder: where its state is kept.
        parts: what each trial trains, as workers reach it; all of one level.
        yardstick: what trials are measured by.
        settings: how.
    """

    folder: Path
    parts: Sequence[Part]
    yardstick: Yardstick
    settings: TuneConfig

    @property
    def records(self) -> Path:
        """The file of what was found."""
        return self.folder / RECORDS

    @property
    def can_go_on(self) -> bool:
        """Whether Ray Tune left a state from which to go on."""
        return any((self.folder / _ENGINE).glob("experiment_state-*.json"))


@dataclass(frozen=True)
class Ears:
    """Who hears of a search, in the driver.

    Attributes:
        on_look: takes a look, and whether it ended its trial.
        on_report: takes losses, whose part is the trial's number.
        should_stop: asked several times a second.
    """

    on_look: Callable[[Look, bool], None]
    on_report: Callable[[Report], None]
    should_stop: Callable[[], bool]


def run(search: Search, ears: Ears, *, go_on: bool = False) -> bool:
    """Run all trials; False where `should_stop` said so: each has saved, and `go_on` goes on.

    As many trials run at once as the connected cluster has room for: Ray Tune sees to that where a
    trial takes resources itself, and not where the workers of its trainer do.

    Raises:
        UserError: what a person has to mend; the search can go on afterwards.
    """
    import ray
    from ray import tune

    part = search.parts[0]
    made: Any = ray.remote(num_cpus=0)(Bell)
    follower = _Following(search, ears, made.options(**pinned_here()).remote())
    with _quiet(), follower:
        trainable = _trainable(search, part, follower)
        if go_on:
            tuner = tune.Tuner.restore(str(search.folder / _ENGINE), trainable, resume_errored=True)
        else:
            tuner = _new(search, part, trainable)
        results = tuner.fit()
    if follower.error:
        raise UserError(follower.error)
    if follower.stopped:
        return False
    if results.num_errors:
        last = str(results.errors[0]).strip().splitlines()[-1]
        raise UserError(
            f"{results.num_errors} of {len(search.parts)} trials were lost {_RESTARTS + 1} times "
            f"(the first: {last}). Look for a machine that runs out of memory, and go on with "
            "--resume"
        )
    return True


def _trainable(search: Search, part: Part, follower: _Following) -> Any:
    from ray import tune

    from pipeline.tuning.trial import Plan, run_trial

    plan = Plan(
        tuple(search.parts),
        search.yardstick,
        every=max(1, part.identity.total_images // search.settings.measurements),
        least=search.settings.min_diversity,
        sender=ActorSender(follower.hub.actor),
        bell=follower.bell,
        luggage=packed(*part.placement.addresses),
    )
    each = dict(need(part).each) if part.workers == 1 else {}
    held = {kind: amount for kind, amount in each.items() if amount} or _NEXT_TO_NOTHING
    return tune.with_resources(
        tune.with_parameters(run_trial, plan=plan), tune.PlacementGroupFactory([held])
    )


def _new(search: Search, part: Part, trainable: Any) -> Any:
    from ray import tune

    from pipeline.tuning.asha import RememberingASHA
    from pipeline.tuning.listening import Telling

    settings = search.settings
    return tune.Tuner(
        trainable,
        param_space={"trial": tune.grid_search(list(range(len(search.parts))))},
        tune_config=tune.TuneConfig(
            scheduler=RememberingASHA(
                search.records, part.identity.total_images, settings.reduction, settings.rungs
            ),
            max_concurrent_trials=None if part.workers == 1 else max(1, room_for(need(part))),
        ),
        run_config=tune.RunConfig(
            name=_ENGINE,
            storage_path=str(search.folder),
            callbacks=[Telling()],
            failure_config=tune.FailureConfig(max_failures=_RESTARTS),
            verbose=0,
        ),
    )


class _Following:
    """`pipeline.tuning.listening.Follower`: keeps what is found, hands it on, and stops the search.

    Context manager, in which the search runs.
    """

    def __init__(self, search: Search, ears: Ears, bell: Any) -> None:
        self.bell, self.hub = bell, Hub(self._reported)
        self.error, self.stopped = "", False
        self._records, self._ears, self._head = Records(search.records), ears, Head()
        self._saved: set[str] = set()

    def __enter__(self) -> _Following:
        from pipeline.tuning import listening

        self._within = listening.followed_by(self)
        self._within.__enter__()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._within.__exit__(None, None, None)
        for _ in range(2):
            self.hub.drain(1.0)

    def heard(self, result: Mapping[str, Any], running: int) -> None:
        if result.get("error"):
            self.error = str(result["error"])
            self._end(running - 1)
        elif "objective" in result:
            look = Look(**{name: result[name] for name in _LOOK_FIELDS})
            self._records.add(look)
            self._ears.on_look(look, bool(result.get("done")) or look.final or bool(look.failed))

    def turn(self, running: int) -> None:
        self.hub.drain()
        self._head.check()
        if self._ears.should_stop() and not self.stopped:
            self._end(running)

    def _reported(self, report: Report) -> None:
        from pipeline.tuning.trial import SAVED

        if SAVED in report.metrics:
            self._saved.add(report.part)
        else:
            self._ears.on_report(report)

    def _end(self, running: int) -> None:
        """Let the trials that run save, then have Ray Tune keep its state and end: SIGUSR1 is its
        other name for Ctrl-C, which here is the stage's guard's."""
        self.stopped = True
        self.bell.ring.remote()
        deadline = time.monotonic() + SAVING_S
        while len(self._saved) < running and time.monotonic() < deadline:
            self.hub.drain(0.2)
        signal.raise_signal(signal.SIGUSR1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Ray Tune tells through the follower alone, and leaves signals to the stage."""
    names = {
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_GLOBAL_CHECKPOINT_S": "2",
        "RAY_AIR_NEW_OUTPUT": "0",
    }
    before = {name: os.environ.get(name) for name in names}
    logger = logging.getLogger("ray.tune")
    level = logger.level
    os.environ.update(names)
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
