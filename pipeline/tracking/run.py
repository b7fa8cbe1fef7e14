"""One MLflow run of a stage or of a part, while it is open in this process."""

import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.errors import UserError
from pipeline.tracking.asking import is_outage
from pipeline.tracking.lineage import Lineage
from pipeline.tracking.outbox import Outbox
from pipeline.tracking.redaction import redact
from pipeline.tracking.system import SystemMonitor
from pipeline.tracking.texts import flatten

if TYPE_CHECKING:
    from mlflow import MlflowClient

_logger = logging.getLogger(__name__)

_RETRY_S = 30.0


class Opener(Protocol):
    """Who opened a run: what the run asks of its tracker."""

    client: "MlflowClient"

    @property
    def shown_uri(self) -> str:
        """The address without credentials."""
        ...

    def answering(self) -> AbstractContextManager[None]:
        """Turns what MLflow raises inside into one UserError."""
        ...

    def open_part(
        self, stage: "StageRun", name: str, part_key: str, tags: Mapping[str, Any]
    ) -> "StageRun":
        """The run of a part below `stage`."""
        ...

    def trained_by(self, part_key: str, clone: str) -> Mapping[str, Any]:
        """Tags that link to the run that trained a part."""
        ...

    def deliver(self, box: Outbox, patient: bool) -> None:
        """Sends all of an outbox, or keeps it for the next stage."""
        ...

    def close_parent(self, lineage: Lineage, status: str) -> None:
        """Ends the lineage's parent run until its next stage."""
        ...


class StageRun:
    """A run of a stage or of a part of it (`levels/level0`), open until `finish`.

    As a context manager it ends FINISHED, FAILED on an exception and KILLED on
    KeyboardInterrupt or SystemExit; runs opened below it end with it. Meanwhile a stage's run gets
    this machine's load (`pipeline.tracking.system`). An unreachable server never
    ends the work: what is logged waits, is sent when it is back, and outlives the process where it
    is not back in time (`pipeline.tracking.outbox`).
    """

    def __init__(
        self,
        tracker: Opener,
        lineage: Lineage,
        run_id: str,
        name: str,
        parent: "StageRun | None" = None,
        inherited_tags: Mapping[str, Any] | None = None,
        resumed: bool = False,
        measured: bool = False,
        part_key: str = "",
        began: float | None = None,
    ) -> None:
        """`resumed` says that the run was there before, `measured` that it has metrics already;
        `part_key` is of the part that it trains, `began` in seconds since the epoch (None: now)."""
        self._tracker = tracker
        self.lineage = lineage
        self.run_id = run_id
        self.name = name
        self.status = "RUNNING"
        self.inherited_tags = dict(inherited_tags or {})
        self.box = Outbox(run_id, name, unsure=resumed)
        self._parent = parent
        self._children: list[StageRun] = []
        self._measured, self._part_key = measured, part_key
        self._began = time.time() if began is None else began
        self._monitor: SystemMonitor | None = None
        self._retry_at = 0.0

    def child(
        self,
        name: str,
        part_key: str,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> "StageRun":
        """A run below this one for a trained part; an unfinished one of the same key goes on.

        Args:
            name: as shown, e.g. `levels/level0`.
            part_key: the part's content key (tag `sgan.part_key`).
            params: nested settings of the part.
            tags: further tags.
        """
        run = self._tracker.open_part(self, name, part_key, tags or {})
        self._children.append(run)
        run.log_params(params or {})
        return run

    def mark_reused(self) -> None:
        """Says that this run's result came from storage, and which run trained it, unless it was
        trained in this very run: then there are points of it."""
        if not (self._measured or self.box.offered):
            maker = self._tracker.trained_by(self._part_key, self.lineage.clone)
            self.set_tags({"sgan.reused": "true", **maker})

    def log_metrics(self, points: Iterable[tuple[str, float, int]]) -> None:
        """Logs (key, value, step) points in calls of at most 1000; step counts images seen.

        A point whose key has that step already is left out.

        Raises:
            UserError: MLflow refuses a key or value (not: the server is away).
        """
        now_ms = int(time.time() * 1000)
        for key, value, step in points:
            self.box.add_metric(key, value, step, now_ms)
        self._send()

    def log_image(self, key: str, png: bytes, step: int) -> None:
        """Logs a picture (the content of a PNG file) of a step; the page has a slider over steps.

        One whose key has that step already is left out.
        """
        self.box.add_picture(key, png, step, int(time.time() * 1000))
        self._send()

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Logs nested `params` flattened with dots, in calls of at most 100.

        MLflow's parameters cannot change. Where a resumed run meets another value (its part key
        agrees, so the result does not depend on it), the first value stays and the new one
        becomes the tag `sgan.resumed_with.<key>`.
        """
        self.box.add_params(flatten(params))
        self._send()

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Sets tags; values become redacted strings, None is left out."""
        self.box.add_tags(tags)
        self._send()

    def log_artifact(self, path: Path, directory: str | None = None) -> None:
        """Copies one file to the run, into `directory` of its artifacts.

        Raises:
            UserError: there is no such file, or MLflow refuses it.
        """
        if not path.exists():
            raise UserError(f"MLflow at {self._tracker.shown_uri}: {path} is not there to be kept")
        self.box.add_file(path, directory)
        self._send()

    def log_artifacts(self, path: Path, directory: str | None = None) -> None:
        """Copies the content of the folder `path` to the run, into `directory`."""
        self.log_artifact(path, directory)

    def finish(self, status: str = "FINISHED", patient: bool = True) -> None:
        """Sends what waits and ends the run, and those below it, with FINISHED, FAILED or KILLED.

        A stage ends the lineage's parent run with it, until the next stage opens that again. A run
        that is to be FINISHED waits a while for a server that is away, where it is `patient`; after
        that, and otherwise at once, the next stage sends the rest. Does nothing on a run that has
        ended.
        """
        if self.status != "RUNNING":
            return
        self.status = status
        if self._monitor is not None:
            self._monitor.stop()
            self._take_samples()
        for child in self._children:
            child.finish(status)
        self.box.end(status)
        self._tracker.deliver(self.box, patient=patient and status == "FINISHED")
        if self._parent is None:
            self._tracker.close_parent(self.lineage, status)

    def __enter__(self) -> "StageRun":
        if self._parent is None:
            self._monitor = SystemMonitor(int(self._began * 1000))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None:
            self.finish()
            return
        try:
            self.finish(status_of(kind))
        except Exception as failure:  # must not hide what ended the stage
            _logger.warning("%s: its run could not be ended: %s", self.name, redact(str(failure)))

    def _take_samples(self) -> None:
        for sample in self._monitor.take() if self._monitor is not None else ():
            self.box.add_system(*sample)

    def _send(self) -> None:
        self._take_samples()
        if time.monotonic() < self._retry_at:
            return
        try:
            self.box.send(self._tracker.client)
        except Exception as error:
            if not is_outage(error):
                self.box.forget()
                with self._tracker.answering():
                    raise
            if self._retry_at == 0.0:
                _logger.warning(
                    "%s does not take what %s logs at the moment; it waits and the work goes on",
                    self._tracker.shown_uri,
                    self.name,
                )
            self._retry_at = time.monotonic() + _RETRY_S
            return
        self._retry_at = 0.0


def status_of(kind: type[BaseException] | None) -> str:
    """What a run is called that ends with an exception of this type: None is FINISHED."""
    if kind is None:
        return "FINISHED"
    return "KILLED" if issubclass(kind, (KeyboardInterrupt, SystemExit)) else "FAILED"
