"""What runs in a trial of Ray Tune: the part's training as `dvc repro` has it, looked at."""

from __future__ import annotations

import math
import os
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cluster.stopping import Listener
from pipeline.cluster.travel import Luggage
from pipeline.errors import UserError
from pipeline.parts import running
from pipeline.parts.checkpoints import Checkpoints
from pipeline.parts.part import Part
from pipeline.parts.sink import ActorSender
from pipeline.storage.store import Storage
from pipeline.tuning.records import FAILED, Look, objective
from pipeline.tuning.yardstick import Measured, Yardstick

if TYPE_CHECKING:
    from sgan.training.adversarial import AdversarialTask

_PATIENCE_S = 6.0  # less than `stopping.SAVING_S`
SAVED = "tune/saved"  # a report's only metric: the trial was told to stop, and has saved


@dataclass(frozen=True, repr=False)
class Plan:
    """What all trials of a search are handed.

    Attributes:
        parts: what each trains, by its number.
        yardstick: what they are measured by.
        every: images between two looks.
        least: diversity below which a trial has collapsed.
        sender: takes reports of losses, by the trial's number for a name.
        bell: rings when the search is stopped.
        luggage: the driver's environment.
    """

    parts: Sequence[Part]
    yardstick: Yardstick
    every: int
    least: float
    sender: ActorSender
    bell: Any
    luggage: Luggage

    def look(self, trial: int, images_seen: int, measured: Measured, **more: Any) -> Look:
        """A look at a trial."""
        return look_at(trial, images_seen, measured, self.least, **more)


def look_at(trial: int, images_seen: int, measured: Measured, least: float, **more: Any) -> Look:
    """A look, with its objective; `least` is the diversity asked for."""
    goal = objective(measured.frechet, measured.diversity, least)
    frechet = measured.frechet if math.isfinite(measured.frechet) else None
    collapsed = frechet is None or measured.diversity < least
    return Look(trial, images_seen, frechet, measured.diversity, goal, collapsed, **more)


@dataclass(frozen=True)
class _As:
    """A sender under a trial's number: all trials of a search train parts of one name."""

    sender: ActorSender
    name: str

    def __call__(self, _: str, *report: Any) -> None:
        self.sender(self.name, *report)

    def flush(self) -> None:
        self.sender.flush()


def run_trial(config: Mapping[str, Any], plan: Plan) -> None:
    """One trial, from the part's newest checkpoint, or from its result, to its end.

    A training that diverges is a trial that failed. What a person has to mend ends the search: it
    is reported as `error`.
    """
    plan.luggage.unpack()
    from pipeline.parts.worker import Diverged

    trial = int(config["trial"])
    stop, sender, ended = _Stop(plan.bell), _As(plan.sender, str(trial)), threading.Event()
    patience = threading.Thread(target=_leave_at_last, args=(plan.bell, sender, ended))
    patience.daemon = True
    patience.start()
    try:
        run = _alone if plan.parts[trial].workers == 1 else _together
        result = run(plan, trial, stop)
        if result is not None:
            measured = _measure_result(plan, plan.parts[trial])
            total, reused = int(result["images_seen"]), bool(result["reused"])
            stop.tell(asdict(plan.look(trial, total, measured, final=True, reused=reused)))
    except Diverged as error:
        images = stop.images_seen or plan.every
        stop.tell(asdict(Look(trial, images, None, 0.0, FAILED, True, failed=str(error))))
    except UserError as error:
        stop.tell({"trial": trial, "error": str(error)})
    finally:
        ended.set()


class _Stop:
    """Tells Ray Tune, and whether it, or the bell, has said to stop."""

    def __init__(self, bell: Any) -> None:
        self._listener = Listener(bell)
        self.images_seen = 0
        self.by_asha = False

    def tell(self, values: dict[str, Any]) -> None:
        """One result; returns when the driver has decided on it."""
        from ray import tune

        try:
            tune.report(values)
        except SystemExit:  # Ray's way to end the trial's thread; it may save first
            self.by_asha = True

    def __call__(self) -> bool:
        return self.by_asha or self._listener()


def _alone(plan: Plan, trial: int, stop: _Stop) -> dict[str, Any] | None:
    """One worker, in the trial's own process. None where it was stopped; it has saved."""
    from pipeline.parts.worker import train_part
    from sgan.training.loop import TrainingStopped

    sender = _As(plan.sender, str(trial))

    def tell(images_seen: int, measured: Measured) -> None:
        stop.images_seen = images_seen
        stop.tell(asdict(plan.look(trial, images_seen, measured)))

    watch = Watching(plan.every, plan.yardstick, tell)
    try:
        return train_part(plan.parts[trial], sender, should_stop=stop, watch=watch)
    except TrainingStopped:
        if not stop.by_asha:
            _saved(sender)
        return None


def _saved(sender: _As) -> None:
    """The search is being stopped, and this trial has saved: it may end. Ray Tune, whose loop does
    not turn any more, will not take it for done."""
    sender("", 0, 0, {SAVED: 1.0}, 0.0)
    sender.flush()


def _leave_at_last(bell: Any, sender: _As, ended: threading.Event) -> None:
    """What takes too long to save, or has nothing to save yet, is not waited for."""
    stopped = Listener(bell)
    while not stopped():
        if ended.wait(0.5):
            return
    if not ended.wait(_PATIENCE_S):
        _saved(sender)
        os._exit(0)


@dataclass(frozen=True)
class Watching:
    """`pipeline.parts.worker.Watch`: measures, and tells of it.

    Attributes:
        every: images between two looks.
        yardstick: None on ranks above 0, which only tell.
        tell: takes images seen and what was measured.
    """

    every: int
    yardstick: Yardstick | None
    tell: Callable[[int, Measured], None]

    def __call__(self, images_seen: int, task: AdversarialTask) -> None:
        measured = self.yardstick.look(task) if self.yardstick else Measured(0.0, 0.0)
        self.tell(images_seen, measured)


def _together(plan: Plan, trial: int, stop: _Stop) -> dict[str, Any] | None:
    """Several workers: Ray Train's trainer inside the trial. Where the trial is ended they end with
    it; their checkpoint is that of the last 20 s."""
    from ray.train import TrainingFailedError
    from ray.tune.integration.ray_train import TuneReportCallback

    part = plan.parts[trial]
    checkpoints = Checkpoints(Storage(part.placement.storage), part.folder)
    finished = checkpoints.result()
    if finished:
        return {**finished, "reused": True}
    config = {"plan": plan, "trial": trial}
    with tempfile.TemporaryDirectory(prefix="sgan-tune-") as folder:
        trainer = running.trainer(part, folder, _rank, config, callbacks=[TuneReportCallback()])
        try:
            trainer.fit()
        except TrainingFailedError as error:
            if stop():
                _saved(_As(plan.sender, str(trial)))
                return None
            causes = getattr(error, "worker_failures", {}).values()
            raise next((e for e in causes if isinstance(e, UserError)), error) from error
    return checkpoints.result()


def _rank(config: dict[str, Any]) -> None:
    """One rank of a trial with several. All report together, as Ray Train wants it; the first one's
    figures count."""
    plan, trial = config["plan"], config["trial"]
    plan.luggage.unpack()
    from ray import train
    from ray.train.torch import get_device

    from pipeline.parts.worker import train_part
    from sgan.training.comm import TorchComm

    first = train.get_context().get_world_rank() == 0

    def tell(images_seen: int, measured: Measured) -> None:
        train.report(asdict(plan.look(trial, images_seen, measured)))

    watch = Watching(plan.every, plan.yardstick if first else None, tell)
    stop = Listener(plan.bell) if first else lambda: False
    sender = _As(plan.sender, str(trial))
    comm = TorchComm(get_device())
    train_part(plan.parts[trial], sender, comm=comm, should_stop=stop, watch=watch)


def _measure_result(plan: Plan, part: Part) -> Measured:
    """A finished part, by its weights as they are stored."""
    return measure_part(part, plan.yardstick)


def measure_part(part: Part, yardstick: Yardstick) -> Measured:
    """A finished part's level, by its weights as they are stored, on the CPU.

    Raises UserError where they are not what was trained.
    """
    from sgan.stack import Stack
    from sgan.weights import load_levels_into

    identity = part.identity
    assert identity.level is not None
    stack = Stack(identity.config, (identity.level,))
    with tempfile.TemporaryDirectory(prefix="sgan-tune-") as folder:
        file = Path(folder) / "weights.safetensors"
        Checkpoints(Storage(part.placement.storage), part.folder).fetch_weights(file)
        load_levels_into(stack, file)
    return yardstick.measure(stack.level(identity.level))
