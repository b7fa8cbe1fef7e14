"""Parts on Ray: check the resources, train parts side by side, cancel when asked.

A part with one worker is a plain task, which Ray restarts elsewhere within seconds of its worker's
or node's death; a part with several runs under Ray Train. Both call `worker.train_part`, which
owns the checkpoints, so both go on where they were.
"""

import logging
import math
import tempfile
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from pipeline.cluster.connection import Head
from pipeline.cluster.nodes import pinned_here
from pipeline.cluster.room import Need, has_room, wait_for
from pipeline.cluster.stopping import Bell, Listener, asked_to_stop, end
from pipeline.cluster.travel import Luggage, packed
from pipeline.errors import UserError
from pipeline.parts.part import Part
from pipeline.parts.sink import ActorSender, MetricHub, Report

_RESTARTS = 3
_POLL_S = 0.5
_ANSWER_S = 5.0
_logger = logging.getLogger(__name__)


class Stopped(Exception):
    """Training was cancelled because the stage was asked to stop."""


def preflight(
    parts: Sequence[Part],
    say: Callable[[str], None],
    wait_seconds: float = 0.0,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Part]:
    """Check the cluster against what the parts ask for, before anything waits for ever.

    Returns the parts, with a share of the GPUs for those that do not say how many they want: one
    each where there are enough, else equal fractions, none where there is no GPU.

    Args:
        parts: what is to be trained.
        say: takes a line for a person: what is waited for, which parts will have to queue.
        wait_seconds: how long nodes may take to join the cluster.
        should_stop: ends the waiting.

    Raises:
        UserError: a part asks for more than the cluster's nodes have, or a node cannot train.
        Stopped: `should_stop` said so.
    """
    import ray

    gpus = ray.cluster_resources().get("GPU", 0.0)
    parts = [part.placed(gpus=_gpu_share(part, gpus, len(parts))) for part in parts]
    parts = [part.placed(cpus=part.placement.cpus or _cores(part)) for part in parts]
    needs = [need(part) for part in parts]
    wait_for(needs, wait_seconds, say, should_stop)
    if should_stop():
        raise Stopped
    have = ray.cluster_resources()
    for kind in ("CPU", "GPU"):
        asked = sum(one.each[kind] * one.workers for one in needs)
        if asked > have.get(kind, 0.0):
            there = have.get(kind, 0.0)
            say(f"{asked:g} {kind} asked for, {there:g} there: some parts will wait in turn")
    return parts


def _cores(part: Part) -> float:
    """What Ray sets aside for a worker where nobody says: a core for each thread, as far as a node
    has them and all workers of the part find room. The threads stay as they are."""
    cores = float(part.placement.threads)
    while cores > 1 and not has_room(need(part.placed(cpus=cores))):
        cores -= 1
    return cores


def need(part: Part) -> Need:
    """What a part takes of the cluster at once."""
    place = part.placement
    return Need(part.name, {"CPU": place.cpus or 1.0, "GPU": place.gpus or 0.0}, part.workers)


def _gpu_share(part: Part, gpus: float, parts: int) -> float:
    """GPUs for each worker of a part. A fraction is for one worker only: NCCL takes no two ranks
    on one GPU."""
    if part.placement.gpus is not None or part.placement.device == "cpu" or not gpus:
        return part.placement.gpus or 0.0
    if gpus >= parts or part.workers > 1:
        return 1.0
    together = math.ceil(parts / gpus)  # on the fullest GPU; a share of one lies on no two
    return math.floor(100 / together) / 100


def train(
    parts: Sequence[Part],
    on_report: Callable[[Report], None],
    on_done: Callable[[str, dict[str, Any]], None],
    should_stop: Callable[[], bool],
    meanwhile: Callable[[Sequence[Need]], None] = lambda needs: None,
) -> dict[str, dict[str, Any]]:
    """Train parts side by side; returns each one's result by name. `meanwhile` is called again and
    again with what the parts that are not done take of the cluster.

    Raises:
        Stopped: `should_stop` said so; the workers are gone, their checkpoints stay.
        UserError: a part failed; the others were cancelled and keep their checkpoints.
    """
    import ray

    head, hub = Head(), Hub(on_report)
    luggage = packed(*(where for part in parts for where in part.placement.addresses))
    begun = {_submit(part, hub.actor, luggage): part for part in parts}
    results: dict[str, dict[str, Any]] = {}
    pending = list(begun)
    try:
        while pending:
            done, pending = ray.wait(pending, timeout=_POLL_S)
            hub.drain()
            meanwhile([need(begun[ref]) for ref in pending])
            for ref in done:
                part, result = begun[ref], _result(ref, begun[ref].name)
                if result is not None:
                    results[part.name] = result
                    on_done(part.name, result)
                elif (
                    not should_stop()
                ):  # its machine is ending: it has saved, and goes on elsewhere
                    again = _submit(part, hub.actor, luggage)
                    begun[again] = part
                    pending.append(again)
            if should_stop() and len(results) < len(parts):
                raise Stopped
            head.check()
    finally:
        end(pending)
        for _ in range(2):  # the first answer may be from before the last report
            hub.drain(_ANSWER_S)
    return results


class Hub:
    """The hub on the driver's node. Ray makes it anew where it is killed, and what had been
    reported by then is lost: that costs a warning, and no training."""

    def __init__(self, on_report: Callable[[Report], None]) -> None:
        import ray

        made: Any = ray.remote(num_cpus=0, max_restarts=-1)(MetricHub)
        self.actor = made.options(**pinned_here()).remote()
        self._on_report, self._warned = on_report, False
        self._answer: Any = self.actor.drain.remote()

    def drain(self, patience: float = 0.0) -> None:
        """Hand on what has been reported, if the hub answers within so many seconds."""
        import ray

        if not ray.wait([self._answer], timeout=patience)[0]:
            return
        try:
            reports = ray.get(self._answer)
        except ray.exceptions.RayActorError:
            if not self._warned:
                _logger.warning("the hub of progress reports was lost; it is started anew")
            self._warned, reports = True, []
        self._answer = self.actor.drain.remote()
        for report in reports:
            self._on_report(report)


def _result(ref: Any, name: str) -> dict[str, Any] | None:
    """What a task returned: None where it was told to end, and has saved. Raises UserError."""
    import ray

    try:
        return ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, UserError):
            raise UserError(str(cause)) from error
        raise
    except ray.exceptions.RayError as error:
        raise UserError(
            f"{name}: its worker was lost {_RESTARTS + 1} times ({type(error).__name__}). Look for "
            "a machine that runs out of memory, and run again: it goes on from its newest "
            "checkpoint"
        ) from error


def _submit(part: Part, hub: Any, luggage: Luggage) -> Any:
    import ray

    place, options = part.placement, {"name": part.name, "max_retries": _RESTARTS}
    run: Any = ray.remote(_alone if part.workers == 1 else _together)
    alone = {"num_cpus": place.cpus or 1, "num_gpus": place.gpus or 0}
    options |= alone if part.workers == 1 else {"num_cpus": 0}
    return run.options(**options).remote(part, ActorSender(hub), luggage)


def _alone(part: Part, sender: ActorSender, luggage: Luggage) -> dict[str, Any] | None:
    """One worker. None where it was stopped: it has saved."""
    with asked_to_stop() as stop:  # around the imports too: one that a stop cuts short spoils torch
        luggage.unpack()
        from pipeline.parts.worker import train_part
        from sgan.training.loop import TrainingStopped

        try:
            return train_part(part, sender, should_stop=stop)
        except TrainingStopped:
            return None


def _together(part: Part, sender: ActorSender, luggage: Luggage) -> dict[str, Any] | None:
    """Several data-parallel workers under Ray Train; all start anew, from their checkpoint, when
    one is lost. None where they were stopped: the first of them has saved."""
    import ray

    from pipeline.parts.checkpoints import Checkpoints
    from pipeline.storage.store import Storage

    luggage.unpack()
    # Here, where who rings it is: else Ray takes any node, whose end would take it along.
    bell: Any = ray.remote(num_cpus=0)(Bell).options(**pinned_here()).remote()
    config = {"part": part, "sender": sender, "bell": bell, "luggage": luggage}
    with asked_to_stop() as stop, tempfile.TemporaryDirectory(prefix="sgan-train-") as folder:
        for attempt in range(1, _RESTARTS + 2):
            error = _attempt(config, folder, stop)
            if error is None or stop():
                break
            if isinstance(error, UserError):
                raise error
            if attempt > _RESTARTS:
                raise UserError(
                    f"{part.name}: its {part.workers} workers failed {attempt} times. The last "
                    f"time: {_last_line(error)}"
                ) from error
    return Checkpoints(Storage(part.placement.storage), part.folder).result()


def _attempt(config: dict[str, Any], folder: str, stop: Callable[[], bool]) -> BaseException | None:
    """One go of Ray Train, which runs in a thread: in the main one it would take SIGINT for
    itself, and end its workers unsaved. Returns its error."""
    from ray.train import TrainingFailedError

    with ThreadPoolExecutor(1) as pool:
        fitting = pool.submit(trainer(config["part"], folder, _one_of_many, config).fit)
        while not fitting.done():
            wait([fitting], timeout=_POLL_S)
            if stop():
                config["bell"].ring.remote()
    try:
        fitting.result()
    except TrainingFailedError as error:
        # What a person has to mend fails again, so Ray Train's own restarts are off.
        causes = getattr(error, "worker_failures", {}).values()
        return next((cause for cause in causes if isinstance(cause, UserError)), error)
    return None


def trainer(
    part: Part,
    folder: str,
    loop: Callable[[dict[str, Any]], None],
    config: dict[str, Any],
    callbacks: Sequence[Any] = (),
) -> Any:
    """Ray Train's trainer of a part with several workers, for one attempt.

    Its run name is new each time: Ray Train would take a finished run of the same name for this
    one, whatever its settings.

    Args:
        part: what to train.
        folder: where Ray Train keeps what it wants to keep.
        loop: what each worker runs, with `config`.
        config: plain or picklable.
        callbacks: of Ray Train.
    """
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    place = part.placement
    per_worker = {"CPU": place.cpus or 1} | ({"GPU": place.gpus} if place.gpus else {})
    return TorchTrainer(
        loop,
        train_loop_config=config,
        scaling_config=ScalingConfig(
            num_workers=part.workers, use_gpu=bool(place.gpus), resources_per_worker=per_worker
        ),
        run_config=RunConfig(
            name=f"{part.name}-{part.key}-{uuid.uuid4().hex[:8]}",
            storage_path=folder,
            failure_config=FailureConfig(max_failures=0),
            callbacks=list(callbacks),
        ),
    )


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1]


def _one_of_many(config: dict[str, Any]) -> None:
    """One rank. Only the first saves, so only it hears of a stop; the others end with it."""
    config["luggage"].unpack()
    from ray.train import get_context
    from ray.train.torch import get_device

    from pipeline.parts.worker import train_part
    from sgan.training.comm import TorchComm

    first = get_context().get_world_rank() == 0
    stop = Listener(config["bell"]) if first else lambda: False
    comm = TorchComm(get_device())
    train_part(config["part"], config["sender"], comm=comm, should_stop=stop)
