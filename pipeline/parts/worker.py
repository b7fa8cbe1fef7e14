"""What runs inside a worker: train one part, from its newest checkpoint to its weights.

The only code that runs in a Ray worker; the same function trains in a stage's own process.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.cluster.supply import opened
from pipeline.data import opening
from pipeline.errors import UserError, weights_told
from pipeline.memory import keep_freed
from pipeline.parts.checkpoints import Checkpoints
from pipeline.parts.curve import Curve
from pipeline.parts.device import device_of, record_of
from pipeline.parts.part import Part
from pipeline.parts.pictures import Pictures
from pipeline.parts.sink import PartSink, Send
from pipeline.parts.supplying import at_hand
from pipeline.storage import s3
from pipeline.storage.scratch import scratch_folder
from pipeline.storage.store import Storage

if TYPE_CHECKING:
    import torch

    from sgan.training.comm import Comm
    from sgan.training.loop import Hooks

_STEPS_PER_REPORT_ON_GPU = 20


class Diverged(UserError):
    """A training ended with values that are not finite, which other settings avoid."""


class Watch(Protocol):
    """Looks at a training now and then, on every rank at the same steps.

    It may read the task and leaves it as it is, random state included: the weights are the same
    bits with and without it.
    """

    @property
    def every(self) -> int:
        """Images between two looks."""
        ...

    def __call__(self, images_seen: int, task: Any) -> None:
        """After a step; not after the last one, whose weights are the result's."""


def train_part(
    part: Part,
    send: Send,
    *,
    comm: "Comm | None" = None,
    should_stop: Callable[[], bool] = lambda: False,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Train `part`, or find it finished; returns its result.

    The result, also `result.json` in storage: key, reused, images_seen, seconds, metrics (last),
    curve (rows of means), weights_sha256, and record: what else decides its last bits
    (`pipeline.parts.device.record_of`).

    Args:
        part: what to train.
        send: takes the sink's reports (`pipeline.parts.sink.PartSink`).
        comm: the other workers on this part; rank 0 alone writes.
        should_stop: polled after each step; a checkpoint is saved before stopping.
        watch: looks at the training as it goes on; in no key, since it changes nothing.

    Raises:
        UserError: bad data or input weights.
        Diverged: a loss or the trained state is not finite.
        TrainingStopped: `should_stop` said so.
    """
    from sgan.training import comm as comms

    checkpoints = Checkpoints(Storage(part.placement.storage), part.folder)
    finished = checkpoints.result()
    if finished:
        return {**finished, "reused": True}
    opening.register("s3", s3.open_stream)
    with (
        opened(part.placement.objects),
        scratch_folder() as folder,
        weights_told(part.name),
    ):
        ready = at_hand(part, folder)
        training = _Training(ready, checkpoints, comm or comms.Comm())
        return training.train(send, should_stop, watch)


class _Training:
    """One training of one part in this process."""

    def __init__(self, part: Part, checkpoints: Checkpoints, comm: "Comm") -> None:
        import torch

        from pipeline.data.batches import Shares

        self.part, self.checkpoints, self.comm = part, checkpoints, comm
        self.recipe: Any = import_module(f"pipeline.parts.recipes.{part.identity.kind}")
        placement = part.placement
        self.device = device_of(placement.device)
        if self.device.type == "cpu":
            keep_freed()
            torch.set_num_threads(placement.threads)
        self.task = self.recipe.task(part, self.device, comm)
        self.curve = Curve(part.identity.total_images)
        upper, y = self.recipe.columns(part, self.task)
        self.batches = self.recipe.batches(
            self.task,
            placement.inputs["data"],
            upper,
            y,
            device=self.device,
            resident_bytes=placement.resident_bytes,
            shares=Shares(comm.rank, comm.world_size),
            section=part.identity.section,
        )
        self.start, self.seconds = self._resume()
        self.pictures = self._pictures(upper, y) if comm.rank == 0 and y is not None else None
        self.began = time.monotonic()

    def train(
        self, send: Send, should_stop: Callable[[], bool], watch: Watch | None = None
    ) -> dict[str, Any]:
        """To the end, or to a stop; returns the result."""
        from sgan.training.loop import TrainingStopped

        name, total = self.part.name, self.part.identity.total_images
        seen = min(self.start * self.task.batch_size, total)
        sender = send if self.comm.rank == 0 else _discard
        with PartSink(name, total, sender, rows=self.curve.rows, images_seen=seen) as sink:
            if self.pictures is not None and self.start == 0:
                sink.show(self.pictures.key, self.pictures.draw)  # what it starts from
            try:
                hooks = self._hooks(sink, should_stop, watch)
                metrics = self.recipe.train(self.task, self.batches, hooks, start=self.start)
            except TrainingStopped as error:
                if should_stop():
                    raise
                sink.not_finite()
                raise Diverged(f"{name}: {error}") from error
        threads, dtype = self.part.placement.threads, str(self.task.dtype)
        result = {
            "key": self.part.key,
            "reused": False,
            "images_seen": total,
            "seconds": round(self._elapsed(), 2),
            "metrics": metrics,
            "curve": self.curve.rows,
            "record": record_of(self.device, threads, dtype),
        }
        if self.comm.rank == 0:
            result = self._store(result)
        self.comm.barrier()
        return result

    def _hooks(
        self, sink: PartSink, should_stop: Callable[[], bool], watch: Watch | None
    ) -> "Hooks":
        from sgan.training.loop import Hooks

        total, seen = self.part.identity.total_images, self._reported()

        def report(images: int, metrics: dict[str, float]) -> None:
            nonlocal seen
            self.curve.add(images, metrics)
            sink.step(images, metrics)
            if watch is not None and images < total and images // watch.every > seen // watch.every:
                watch(images, self.task)
            if self.pictures is not None and self.pictures.due(images):
                sink.show(self.pictures.key, self.pictures.draw)
            seen = images

        every = _steps_per_report(self.device)
        return Hooks(report, self._save, should_stop, every, self.part.placement.checkpoint_seconds)

    def _reported(self) -> int:
        """Images of the last report before the checkpoint that it starts from."""
        every = _steps_per_report(self.device)
        return self.start // every * every * self.task.batch_size

    def _pictures(self, columns: Any, y: Any) -> "Pictures":
        total = self.part.identity.total_images
        return Pictures(self.task, columns, y, total, self._reported())

    def _resume(self) -> tuple[int, float]:
        """Load the newest checkpoint; returns the steps and the seconds that are done."""
        loaded = self.checkpoints.load(str(self.device))
        step, state = loaded or (0, None)
        if self.comm.average_number(step) != step:
            raise RuntimeError(f"{self.part.name}: this worker read step {step}, others another")
        if state is None:
            return 0, 0.0
        self.task.load_state_dict(state["task"])
        self.curve.load_state_dict(state["curve"])
        return step, state["seconds"]

    def _save(self, step: int, state: Mapping[str, Any]) -> None:
        if self.comm.rank == 0:
            whole = {"task": state, "curve": self.curve.state_dict(), "seconds": self._elapsed()}
            self.checkpoints.save(step, whole)

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.began

    def _store(self, result: dict[str, Any]) -> dict[str, Any]:
        part = self.part
        about = {"part": part.name, "key": part.key, "inputs": dict(part.identity.inputs)}
        with scratch_folder() as folder:
            weights = folder / "weights.safetensors"
            self.task.save(weights, {**about, "metrics": result["metrics"]})
            result["weights_sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
            return self.checkpoints.finish(weights, result)


def _steps_per_report(device: "torch.device") -> int:
    return 1 if device.type == "cpu" else _STEPS_PER_REPORT_ON_GPU


def _discard(*_: Any) -> None:
    """Reports of the ranks above 0 go nowhere."""
