"""One MLflow run of a stage or of a part, and the shapes in which things are logged to it."""

import dataclasses
import json
import logging
import re
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.tracking.lineage import Lineage
from pipeline.tracking.redaction import HIDDEN, is_secret_name, redact, redact_tree

if TYPE_CHECKING:
    from mlflow import MlflowClient

_logger = logging.getLogger(__name__)

METRICS_PER_CALL = 1000
PARAMS_PER_CALL = 100
_LONGEST_VALUE = 6000
_LONGEST_TAG = 5000

# While the server is away, metrics wait here: the oldest are given up beyond this many.
_MOST_WAITING = 500_000
_RETRY_S = 30.0

UNFINISHED = ("RUNNING", "SCHEDULED", "FAILED", "KILLED")


class Opener(Protocol):
    """Who opened a run: what the run asks of its tracker."""

    client: "MlflowClient"
    shown_uri: str

    def answering(self) -> AbstractContextManager[None]:
        """Turns what MLflow raises inside into one UserError."""
        ...

    def open_part(
        self, stage: "StageRun", name: str, part_key: str, tags: Mapping[str, Any]
    ) -> "StageRun":
        """The run of a part below `stage`."""
        ...

    def finish_parent(self, lineage: Lineage, *, status: str) -> None:
        """Ends the lineage's parent run."""
        ...


class StageRun:
    """A run of a stage or of a part of it (`levels/level0`), open until `finish`.

    As a context manager it ends FINISHED, FAILED on an exception and KILLED on
    KeyboardInterrupt or SystemExit; runs opened below it end with it. An unreachable server never
    ends training: metrics wait and are sent when it is back; every other method raises UserError.

    A metric is logged once for a step, whoever offers it again: after a restart, after a call
    whose answer was lost, in an execution that goes on.
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
    ) -> None:
        self._tracker = tracker
        self.lineage = lineage
        self.run_id = run_id
        self.name = name
        self.status = "RUNNING"
        self.inherited_tags = dict(inherited_tags or {})
        self._parent = parent
        self._children: list[StageRun] = []
        self._waiting: deque[Any] = deque(maxlen=_MOST_WAITING)
        self._retry_at = 0.0
        self._offered: dict[str, set[int]] = {}
        # Whether MLflow may hold points that this object has not sent, or has no answer for.
        self._unsure = resumed
        self._held: dict[str, set[int]] = {}

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
        """Says that this run's result came from storage, unless it was trained in this very run:
        then there are points of it."""
        with self._tracker.answering():
            trained_here = self._unsure and self._tracker.client.get_run(self.run_id).data.metrics
        if not (self._offered or trained_here):
            self.set_tags({"sgan.reused": "true"})

    def log_metrics(self, points: Iterable[tuple[str, float, int]]) -> None:
        """Logs (key, value, step) points in calls of at most 1000; step counts images seen.

        A point whose key has that step already is left out. While the tracking server is away the
        points wait, for `finish` at the latest.

        Raises:
            UserError: MLflow refuses a key or value (not: the server is away).
        """
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        for key, value, step in points:
            name, number = _plain_key(key), int(step)
            steps = self._offered.setdefault(name, set())
            if number not in steps:
                steps.add(number)
                self._waiting.append(Metric(name, float(value), now_ms, number))
        if time.monotonic() >= self._retry_at:
            self._send_waiting()

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Logs nested `params` flattened with dots, in calls of at most 100.

        MLflow's parameters cannot change. Where a resumed run meets another value (its part key
        agrees, so the result does not depend on it), the first value stays and the new one
        becomes the tag `sgan.resumed_with.<key>`.
        """
        from mlflow.entities import Param

        flat = flatten(params)
        if not flat:
            return
        with self._tracker.answering():
            known = self._tracker.client.get_run(self.run_id).data.params
        changed = {key: value for key, value in flat.items() if known.get(key, value) != value}
        fresh = [Param(key, value) for key, value in flat.items() if key not in known]
        with self._tracker.answering():
            for start in range(0, len(fresh), PARAMS_PER_CALL):
                chunk = fresh[start : start + PARAMS_PER_CALL]
                self._tracker.client.log_batch(self.run_id, params=chunk)
        self.set_tags({f"sgan.resumed_with.{key}": value for key, value in changed.items()})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Sets tags; values become redacted strings, None is left out."""
        from mlflow.entities import RunTag

        entities = [RunTag(key, value) for key, value in tag_values(tags).items()]
        with self._tracker.answering():
            for start in range(0, len(entities), PARAMS_PER_CALL):
                chunk = entities[start : start + PARAMS_PER_CALL]
                self._tracker.client.log_batch(self.run_id, tags=chunk)

    def log_artifact(self, path: Path, directory: str | None = None) -> None:
        """Copies one file to the run, into `directory` of its artifacts."""
        with self._tracker.answering():
            self._tracker.client.log_artifact(self.run_id, str(path), directory)

    def log_artifacts(self, path: Path, directory: str | None = None) -> None:
        """Copies the content of the folder `path` to the run, into `directory`."""
        with self._tracker.answering():
            self._tracker.client.log_artifacts(self.run_id, str(path), directory)

    def log_dict(self, content: Mapping[str, Any], file: str) -> None:
        """Writes `content`, redacted, as a `.json` or `.yaml` file of the run."""
        with self._tracker.answering():
            self._tracker.client.log_dict(self.run_id, redact_tree(content), file)

    def finish(self, status: str = "FINISHED") -> None:
        """Sends what waits and ends the run, and those below it, with FINISHED, FAILED or KILLED.

        A stage that does not finish takes the lineage's parent run with it. Does nothing on a run
        that has ended.
        """
        if self.status != "RUNNING":
            return
        self.status = status
        for child in self._children:
            child.finish(status)
        self._send_waiting()
        if self._waiting:
            _logger.warning(
                "%s: %d metric values never reached %s",
                self.name,
                len(self._waiting),
                self._tracker.shown_uri,
            )
        with self._tracker.answering():
            self._tracker.client.set_terminated(self.run_id, status)
        if self._parent is None and status != "FINISHED":
            self._tracker.finish_parent(self.lineage, status=status)

    def __enter__(self) -> "StageRun":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None:
            self.finish()
            return
        killed = issubclass(kind, (KeyboardInterrupt, SystemExit))
        try:
            self.finish("KILLED" if killed else "FAILED")
        except Exception as failure:  # must not hide what ended the stage
            _logger.warning("%s: its run could not be ended: %s", self.name, redact(str(failure)))

    def _send_waiting(self) -> None:
        while self._waiting:
            chunk = list(islice(self._waiting, METRICS_PER_CALL))
            try:
                new = [metric for metric in chunk if not self._holds(metric.key, metric.step)]
                if new:
                    self._tracker.client.log_batch(self.run_id, metrics=new)
            except Exception as error:
                self._unsure = True
                self._held.clear()
                if not is_outage(error):
                    self._waiting.clear()
                    with self._tracker.answering():
                        raise
                if self._retry_at == 0.0:
                    _logger.warning(
                        "%s does not take metrics at the moment; they wait and training goes on",
                        self._tracker.shown_uri,
                    )
                self._retry_at = time.monotonic() + _RETRY_S
                return
            for _ in chunk:
                self._waiting.popleft()
        self._retry_at = 0.0

    def _holds(self, key: str, step: int) -> bool:
        """Whether MLflow has this point, as far as that can be in doubt."""
        if not self._unsure:
            return False
        if key not in self._held:
            history = self._tracker.client.get_metric_history(self.run_id, key)
            self._held[key] = {metric.step for metric in history}
        return step in self._held[key]


def is_outage(error: BaseException) -> bool:
    """True if a call may work later: the server is away or busy, rather than refusing the call."""
    from mlflow.exceptions import MlflowException

    if not isinstance(error, MlflowException):
        return isinstance(error, OSError)
    return error.error_code in ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE")


def flatten(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """`params` as one level of strings with dotted keys: `{"levels.1.lr": "0.0001"}`.

    Dataclasses count as mappings; lists, None and booleans become JSON. Credentials are hidden,
    and values over MLflow's 6000 characters are cut, with a note of their length.
    """
    flat: dict[str, str] = {}
    for name, value in params.items():
        key = f"{prefix}{_plain_key(str(name))}"
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = dataclasses.asdict(value)
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{key}."))
        else:
            flat[key] = HIDDEN if value is not None and is_secret_name(key) else _as_text(value)
    return flat


def tag_values(tags: Mapping[str, Any]) -> dict[str, str]:
    """`tags` as MLflow takes them: redacted strings of at most 5000 characters, no None."""
    return {key: _as_text(value, _LONGEST_TAG) for key, value in tags.items() if value is not None}


def _as_text(value: Any, longest: int = _LONGEST_VALUE) -> str:
    plain = value is None or isinstance(value, (bool, list, tuple, Mapping))
    shown = json.dumps(redact_tree(value), default=str) if plain else str(value)
    text = redact(shown)
    if len(text) <= longest:
        return text
    note = f"... [cut, {len(text)} characters]"
    return text[: longest - len(note)] + note


def _plain_key(key: str) -> str:
    """`key` with what MLflow refuses in names replaced by an underscore."""
    return re.sub(r"[^\w.\-/: ]", "_", key)
