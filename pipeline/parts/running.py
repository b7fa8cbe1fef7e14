"""Parts on Ray: check the resources, train parts side by side, cancel when asked.

A part with one worker is a plain task, which Ray restarts elsewhere within seconds of its worker's
or node's death; a part with several runs under Ray Train. Both call `worker.train_part`, which
owns the checkpoints, so both go on where they were.
"""

import math
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.cluster.nodes import pinned_here
from pipeline.errors import UserError
from pipeline.parts.part import Part
from pipeline.parts.sink import ActorSender, MetricHub, Report

_RESTARTS = 3
_POLL_S = 0.5


class Stopped(Exception):
    """Training was cancelled because the stage was asked to stop."""


def preflight(parts: Sequence[Part], say: Callable[[str], None]) -> list[Part]:
    """Check the cluster's size against what the parts ask for, before anything waits for ever.

    Returns the parts, with a share of the GPUs for those that do not say how many they want: one
    each where there are enough, else equal fractions, none where there is no GPU.
    Raises UserError where one part alone asks for more than the cluster has in all; says so where
    parts will have to queue.
    """
    import ray

    total = ray.cluster_resources()
    have = {"CPU": total.get("CPU", 0.0), "GPU": total.get("GPU", 0.0)}
    largest = max(node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"])
    parts = [
        p.placed(
            gpus=_gpu_share(p, have["GPU"], len(parts)),
            cpus=p.placement.cpus or _cores(p, largest, have["CPU"]),
        )
        for p in parts
    ]
    needs = {p.name: _need(p) for p in parts}
    for name, need in needs.items():
        for kind, amount in need.items():
            if amount > have[kind]:
                raise UserError(
                    f"{name} asks for {amount:g} {kind} ({kind.lower()}s x its workers) "
                    f"and the Ray cluster has {have[kind]:g} in all: lower it, or add "
                    "nodes"
                )
    for kind in ("CPU", "GPU"):
        asked = sum(need[kind] for need in needs.values())
        if asked > have[kind]:
            say(f"{asked:g} {kind} asked for, {have[kind]:g} there: some parts will wait in turn")
    return list(parts)


def _cores(part: Part, largest: float, in_all: float) -> float:
    """What Ray sets aside for a worker where nobody says: a core for each thread, as far as a node
    has them and all workers of the part find room. The threads stay as they are."""
    room = in_all // part.workers
    return max(1.0, min(float(part.placement.threads), largest, room))


def _need(part: Part) -> dict[str, float]:
    each = {"CPU": part.placement.cpus or 1, "GPU": part.placement.gpus or 0}
    return {kind: amount * part.workers for kind, amount in each.items()}


def _gpu_share(part: Part, gpus: float, parts: int) -> float:
    """GPUs for each worker of a part. A fraction is for one worker only: NCCL takes no two ranks
    on one GPU."""
    if part.placement.gpus is not None or part.placement.device == "cpu" or not gpus:
        return part.placement.gpus or 0.0
    whole = gpus >= parts or part.workers > 1
    return 1.0 if whole else math.floor(100 * gpus / parts) / 100


def train(
    parts: Sequence[Part],
    on_report: Callable[[Report], None],
    on_done: Callable[[str, dict[str, Any]], None],
    should_stop: Callable[[], bool],
) -> dict[str, dict[str, Any]]:
    """Train parts side by side; returns each one's result by name.

    Raises:
        Stopped: `should_stop` said so; the workers are gone, their checkpoints stay.
        UserError: a part failed; the others were cancelled and keep their checkpoints.
    """
    import ray

    hub: Any = ray.remote(num_cpus=0)(MetricHub).options(**pinned_here()).remote()
    names = {_submit(part, hub): part.name for part in parts}
    results: dict[str, dict[str, Any]] = {}
    pending = list(names)
    try:
        while pending:
            done, pending = ray.wait(pending, timeout=_POLL_S)
            for report in ray.get(hub.drain.remote()):
                on_report(report)
            for ref in done:
                results[names[ref]] = _result(ref, names[ref])
                on_done(names[ref], results[names[ref]])
            if should_stop() and pending:
                raise Stopped
    finally:
        for ref in pending:
            ray.cancel(ref, force=True)
    return results


def _result(ref: Any, name: str) -> dict[str, Any]:
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
            f"{name}: its worker was lost {_RESTARTS + 1} times ({type(error).__name__}); its "
            "checkpoints are kept. Look for the machine running out of memory, and run again"
        ) from error


def _submit(part: Part, hub: Any) -> Any:
    import ray

    sender, place = ActorSender(hub), part.placement
    if part.workers == 1:
        task = ray.remote(
            num_cpus=place.cpus or 1, num_gpus=place.gpus or 0, max_retries=_RESTARTS
        )(_alone)
        return task.options(name=part.name).remote(part, sender)
    task = ray.remote(num_cpus=0, max_retries=_RESTARTS)(_together)
    return task.options(name=part.name).remote(part, sender)


def _alone(part: Part, sender: ActorSender) -> dict[str, Any]:
    from pipeline.parts.worker import train_part

    return train_part(part, sender)


def _together(part: Part, sender: ActorSender) -> dict[str, Any]:
    """Several data-parallel workers under Ray Train; all start anew, from their checkpoint, when
    one is lost."""
    import tempfile

    from ray.train import TrainingFailedError

    from pipeline.parts.checkpoints import Checkpoints
    from pipeline.storage.store import Storage

    with tempfile.TemporaryDirectory(prefix="sgan-ray-train-") as folder:
        for attempt in range(1, _RESTARTS + 2):
            try:
                _trainer(part, sender, folder).fit()
                break
            except TrainingFailedError as error:
                # What a person has to mend fails again, so Ray Train's own restarts are off.
                for cause in getattr(error, "worker_failures", {}).values():
                    if isinstance(cause, UserError):
                        raise cause from None
                if attempt > _RESTARTS:
                    raise UserError(
                        f"{part.name}: its {part.workers} workers failed {attempt} "
                        f"times; the checkpoints are kept. The last time: {_last_line(error)}"
                    ) from error
    result = Checkpoints(Storage(part.placement.storage), part.folder).result()
    assert result is not None
    return result


def _trainer(part: Part, sender: ActorSender, folder: str) -> Any:
    """One attempt. Its run name is new each time: Ray Train would take a finished run of the same
    name for this one, whatever its settings."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    place = part.placement
    per_worker = {"CPU": place.cpus or 1} | ({"GPU": place.gpus} if place.gpus else {})
    return TorchTrainer(
        _one_of_many,
        train_loop_config={"part": part, "sender": sender},
        scaling_config=ScalingConfig(
            num_workers=part.workers, use_gpu=bool(place.gpus), resources_per_worker=per_worker
        ),
        run_config=RunConfig(
            name=f"{part.name}-{part.key}-{uuid.uuid4().hex[:8]}",
            storage_path=folder,
            failure_config=FailureConfig(max_failures=0),
        ),
    )


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1]


def _one_of_many(config: dict[str, Any]) -> None:
    from ray.train.torch import get_device

    from pipeline.parts.worker import train_part
    from sgan.training.comm import TorchComm

    train_part(config["part"], config["sender"], comm=TorchComm(get_device()))
