"""Train parts for a stage: where they run, what people see meanwhile, what MLflow gets."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.cluster import connection
from pipeline.cluster.beside import Aside, Beside
from pipeline.cluster.errand import Told
from pipeline.parts import running
from pipeline.parts.checkpoints import Checkpoints
from pipeline.parts.guard import Guard
from pipeline.parts.part import Part
from pipeline.parts.progress import TrainingProgress, console_for
from pipeline.parts.sink import Report, Rows
from pipeline.parts.supplying import supplied
from pipeline.parts.turns import Turns
from pipeline.storage.store import Storage

if TYPE_CHECKING:
    from pipeline.cluster.session import Session
    from pipeline.tracking.run import StageRun


def train_parts(
    parts: Sequence[Part],
    runs: "Mapping[str, StageRun]",
    guard: Guard,
    *,
    fan_out: bool = False,
    progress_style: str = "auto",
    wait_seconds: float = 60.0,
    session: "Callable[[], Session | None]" = lambda: None,
    beside: "Meanwhile | None" = None,
) -> dict[str, dict[str, Any]]:
    """Train what is stale, reuse what storage holds finished; returns results by part name.

    What another execution that shares the storage is training is waited for, and reused.

    Args:
        parts: what to train.
        runs: the MLflow run of each part.
        guard: asked between steps whether to stop.
        fan_out: the parts run side by side on Ray. Otherwise they run one by one in this process,
            unless RAY_ADDRESS names a cluster or a part has several workers.
        wait_seconds: how long a cluster's nodes may take to join.
        progress_style: `auto`, `plain` or `none`, see `progress.console_for`.
        session: gives the cluster that RAY_ADDRESS names, by which workers get their inputs and
            reach storage; on a local Ray they have the files.
        beside: what is done in the room that the parts leave, where they run on Ray; they do for
            its sake where it is worth that.

    Raises:
        UserError: as `worker.train_part` and `turns.Turns`.
        SystemExit: the stage was asked to stop (128 + signal), after a checkpoint.
    """
    totals = {part.name: part.identity.total_images for part in parts}
    progress_shown = TrainingProgress(totals, console_for(progress_style))
    with guard.checkpointing(), progress_shown as progress:

        def on_report(report: Report) -> None:
            speed = report.images_per_second
            progress.update(report.part, report.images_seen, report.metrics, speed)
            run = runs[report.part]
            log_curve(run, report.part, report.curve, speed)
            if report.picture is not None:
                run.log_image(report.picture.key, report.picture.png, report.images_seen)

        results: dict[str, dict[str, Any]] = {}

        def on_done(name: str, result: dict[str, Any]) -> None:
            results[name] = result
            if result["reused"]:
                progress.reused(name)
                runs[name].mark_reused()
            else:
                progress.finish(name)
            speed = result["images_seen"] / max(result["seconds"], 1e-3)
            log_curve(runs[name], name, result["curve"], speed)

        try:
            with Turns(parts, on_done, progress.status, guard.should_stop) as turns:
                for mine in turns:
                    several = any(p.workers > 1 for p in mine) or (fan_out and len(mine) > 1)
                    if not (connection.wanted() or several or (beside and beside.worth_a_ray())):
                        _here(mine, on_report, on_done, turns.should_stop)
                        continue
                    ray = _OnRay(session(), wait_seconds, progress, beside)
                    ray.train(mine, on_report, on_done, turns.should_stop)
        except running.Stopped:
            progress.status(_stopped(parts))
            raise SystemExit(128 + guard.signal_number) from None
    return results


@dataclass(frozen=True)
class Meanwhile:
    """What may be done beside parts in training, as `pipeline.cluster.beside` does it.

    Attributes:
        make: what it is; None where there is nothing to do. Called when there is room.
        cpus: cores that Ray sets aside for it.
        shown: what hears its progress, beside that of the parts.
        worth_a_ray: whether to start a local Ray for its sake, where the parts would need none.
    """

    make: Callable[[], Aside | None]
    cpus: float
    shown: Callable[[TrainingProgress], Told]
    worth_a_ray: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class _OnRay:
    """Where parts run side by side: the cluster of a session, or a local Ray for None, whose
    workers have the driver's files."""

    cluster: "Session | None"
    wait_seconds: float
    progress: TrainingProgress
    meanwhile: Meanwhile | None

    def train(
        self, parts: Sequence[Part], on_report: Any, on_done: Any, stop: Callable[[], bool]
    ) -> None:
        """As `running.preflight` and `running.train`."""
        local = self.cluster is None
        with connection.connected() if local else nullcontext():
            wait = 0.0 if local else self.wait_seconds
            ready = running.preflight(parts, self.progress.status, wait, stop)
            reached = [self._reached(part) for part in ready]
            if self.meanwhile is None:
                running.train(reached, on_report, on_done, stop)
                return
            beside = self._beside(self.meanwhile, ready)
            try:
                running.train(reached, on_report, on_done, stop, beside.look)
                beside.finish(stop)
            finally:
                beside.end()

    def _beside(self, meanwhile: Meanwhile, parts: Sequence[Part]) -> Beside:
        """It takes no more of a GPU than the part that has least of one."""
        gpus = min(part.placement.gpus or 0.0 for part in parts)
        need = {"CPU": meanwhile.cpus, "GPU": gpus}
        told, say = meanwhile.shown(self.progress), self.progress.status
        return Beside(meanwhile.make, need, told, say, self.cluster)

    def _reached(self, part: Part) -> Part:
        """A part whose inputs and storage are as the nodes reach them."""
        if self.cluster is None:
            return part
        return supplied(part, self.cluster.supply).placed(storage=self.cluster.storage)


def log_curve(run: "StageRun", part: str, rows: Rows, images_per_second: float) -> None:
    """Offer a curve, the whole of it so far: what MLflow has of it is not logged again.

    Args:
        run: the part's MLflow run.
        part: its name, under which the speed is logged beside the curve's own keys.
        rows: as `Curve.rows`; a point's step is its images seen.
        images_per_second: the speed at the points that are new.
    """
    points = []
    for row in rows:
        values = {**row, f"{part}/images_per_second": images_per_second}
        step = int(values.pop("images_seen"))
        points += [(key, value, step) for key, value in values.items()]
    run.log_metrics(points)


def _stopped(parts: Sequence[Part]) -> str:
    """Where each part that was stopped goes on, as storage has it."""
    told = []
    for part in parts:
        checkpoints = Checkpoints(Storage(part.placement.storage), part.folder)
        if checkpoints.result() is None:
            step = checkpoints.newest()
            told.append(f"{part.name} " + (f"is kept at step {step}" if step else "had not begun"))
    return f"Stopped: {', '.join(told)}. The next `dvc repro` goes on from there."


def _here(
    parts: Sequence[Part], on_report: Any, on_done: Any, should_stop: Callable[[], bool]
) -> None:
    """One by one in this process. A level keeps the threads that it has beside the others: a
    small net gains nothing from more, and its losses then do not depend on what was reused."""
    from pipeline.parts.sink import MetricHub
    from pipeline.parts.worker import train_part
    from sgan.training.loop import TrainingStopped

    hub = MetricHub()

    def send(*report: Any) -> None:
        hub.report(*report)
        for drained in hub.drain():
            on_report(drained)

    for part in parts:
        try:
            result = train_part(part, send, should_stop=should_stop)
        except TrainingStopped:
            raise running.Stopped from None
        on_done(part.name, result)
