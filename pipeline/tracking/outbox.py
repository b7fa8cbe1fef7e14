"""What a run is to hold and MLflow does not hold yet: in memory, and on the disk where a stage
ends before the server is back."""

import hashlib
import json
import logging
import shutil
import time
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.storage.atomic import write_json
from pipeline.tracking.asking import is_outage
from pipeline.tracking.picture import Picture
from pipeline.tracking.redaction import redact
from pipeline.tracking.texts import plain_key, tag_values

if TYPE_CHECKING:
    from mlflow import MlflowClient

_logger = logging.getLogger(__name__)

METRICS_PER_CALL = 1000
PARAMS_PER_CALL = 100

# While the server is away, metrics wait here: the oldest are given up beyond this many.
_MOST_WAITING = 500_000

# What calls that fail may take together before the runs behind them are left for the next time.
_FAILING_S = 5.0


class Outbox:
    """What waits to be sent to one run. Each thing leaves it when MLflow has taken it.

    A metric is taken once for a step, whoever offers it again: after a restart, after a call
    whose answer was lost, in an execution that goes on.

    Attributes:
        run_id: the run.
        name: of the run, for a person.
        ending: status and end (milliseconds since 1970) that the run is to have; None while it
            goes on, and once MLflow has them.
        done: whether the run's end was sent, or kept on the disk.
        on_disk: whether what the disk keeps for the run is this box's own, or was taken up by it.
    """

    def __init__(self, run_id: str, name: str, unsure: bool = False) -> None:
        """`unsure` says that MLflow may hold points of the run already: they are asked for."""
        self.run_id, self.name = run_id, name
        self.ending: tuple[str, int] | None = None
        self.done = self.on_disk = False
        self._metrics: deque[Any] = deque(maxlen=_MOST_WAITING)
        self._tags: dict[str, str] = {}
        self._params: dict[str, str] = {}
        self._files: list[tuple[str, str | None]] = []
        self._pictures: list[Picture] = []
        self._offered: dict[str, set[int]] = {}
        self._offered_pictures: dict[str, set[int]] = {}
        self._unsure = unsure
        self._held: dict[str, set[int]] = {}

    @property
    def offered(self) -> bool:
        """Whether any metric was put in."""
        return bool(self._offered)

    @property
    def empty(self) -> bool:
        """Whether MLflow has everything."""
        waiting = (self._metrics, self._tags, self._params, self._files, self._pictures)
        return not (any(waiting) or self.ending)

    def add_metric(self, key: str, value: float, step: int, timestamp_ms: int) -> None:
        """A point, unless its key has that step already."""
        from mlflow.entities import Metric

        name, number = plain_key(key), int(step)
        steps = self._offered.setdefault(name, set())
        if number not in steps:
            steps.add(number)
            self._metrics.append(Metric(name, float(value), timestamp_ms, number))

    def add_system(self, key: str, value: float, step: int, timestamp_ms: int) -> None:
        """A point of the machine's load, which is nothing that the run measured (`offered`)."""
        from mlflow.entities import Metric

        self._metrics.append(Metric(key, value, timestamp_ms, step))

    def add_picture(self, key: str, png: bytes, step: int, timestamp_ms: int) -> None:
        """A picture, unless its key has that step already."""
        steps = self._offered_pictures.setdefault(key, set())
        if step not in steps:
            steps.add(step)
            self._pictures.append(Picture(key, png, step, timestamp_ms))

    def add_tags(self, tags: Mapping[str, Any]) -> None:
        """Tags; values become redacted strings, None is left out."""
        self._tags |= tag_values(tags)

    def add_params(self, flat: Mapping[str, str]) -> None:
        """Flat parameters, of which MLflow keeps the first value."""
        self._params |= flat

    def add_file(self, path: Path, directory: str | None) -> None:
        """A file, or what is in a folder, into `directory` of the run's artifacts."""
        self._files.append((str(path.resolve()), directory))

    def end(self, status: str) -> None:
        """The run ends now, FINISHED, FAILED or KILLED."""
        self.ending = (status, int(time.time() * 1000))
        self.done = False

    def forget(self) -> None:
        """Drops what waits, but the ending: MLflow refused something of it."""
        self._metrics.clear()
        self._tags, self._params, self._files, self._pictures = {}, {}, [], []

    def send(self, client: "MlflowClient") -> None:
        """Sends what waits, the ending last. Raises what the client raises; the rest waits on."""
        try:
            self._send_params(client)
            self._send_tags(client)
            self._send_metrics(client)
            while self._pictures:
                self._pictures[0].send(client, self.run_id, self._unsure)
                del self._pictures[0]
            while self._files:
                path, directory = self._files[0]
                log = client.log_artifacts if Path(path).is_dir() else client.log_artifact
                log(self.run_id, path, directory)
                del self._files[0]
            if self.ending:
                client.set_terminated(self.run_id, *self.ending)
                self.ending, self.done = None, True
        except Exception as error:
            if is_outage(error):  # the call may have done its work before the answer was lost
                self._unsure = True
                self._held.clear()
            raise

    def _send_params(self, client: "MlflowClient") -> None:
        from mlflow.entities import Param

        if not self._params:
            return
        known = client.get_run(self.run_id).data.params
        fresh = [Param(key, value) for key, value in self._params.items() if key not in known]
        for start in range(0, len(fresh), PARAMS_PER_CALL):
            client.log_batch(self.run_id, params=fresh[start : start + PARAMS_PER_CALL])
        for key, value in self._params.items():
            if known.get(key, value) != value:
                self._tags[f"sgan.resumed_with.{key}"] = value
        self._params = {}

    def _send_tags(self, client: "MlflowClient") -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(key, value) for key, value in self._tags.items()]
        for start in range(0, len(tags), PARAMS_PER_CALL):
            client.log_batch(self.run_id, tags=tags[start : start + PARAMS_PER_CALL])
        self._tags = {}

    def _send_metrics(self, client: "MlflowClient") -> None:
        while self._metrics:
            chunk = list(islice(self._metrics, METRICS_PER_CALL))
            new = [metric for metric in chunk if not self._holds(client, metric.key, metric.step)]
            if new:
                client.log_batch(self.run_id, metrics=new)
            for _ in chunk:
                self._metrics.popleft()

    def _holds(self, client: "MlflowClient", key: str, step: int) -> bool:
        """Whether MLflow has this point, as far as that can be in doubt."""
        if not self._unsure:
            return False
        if key not in self._held:
            history = client.get_metric_history(self.run_id, key)
            self._held[key] = {metric.step for metric in history}
        return step in self._held[key]

    def keep(self, folder: Path, uri: str) -> None:
        """Writes what waits below `folder`, copies of the files with it, for `kept`."""
        below = folder / self.run_id
        self._files = [(_copied(Path(path), below), directory) for path, directory in self._files]
        content = {
            "tracking": digest(uri),
            "run_id": self.run_id,
            "name": self.name,
            "metrics": [(m.key, m.value, m.step, m.timestamp) for m in self._metrics],
            "tags": self._tags,
            "params": self._params,
            "files": self._files,
            "pictures": [picture.as_json() for picture in self._pictures],
            "ending": self.ending,
        }
        write_json(folder / f"{self.run_id}.json", content)
        self.on_disk, self.done = True, self.ending is not None

    def take_up(self, folder: Path, uri: str) -> None:
        """Puts in what an earlier process kept for this run and nobody could send yet, but for its
        ending: the run goes on."""
        content = _read(folder / f"{self.run_id}.json", uri)
        if content is not None:
            self._fill(content)

    def discard(self, folder: Path) -> None:
        """Takes away what was kept, as far as this box holds it: MLflow has it now."""
        if self.on_disk:
            (folder / f"{self.run_id}.json").unlink(missing_ok=True)
            shutil.rmtree(folder / self.run_id, ignore_errors=True)
            self.on_disk = False

    def _fill(self, content: Mapping[str, Any]) -> None:
        self.on_disk = self._unsure = True
        for key, value, step, timestamp in content["metrics"]:
            self.add_metric(key, value, step, timestamp)
        self._tags, self._params = content["tags"], content["params"]
        self._files = [(path, directory) for path, directory in content["files"]]
        for picture in content.get("pictures", ()):
            self.add_picture(*Picture.from_json(picture))


def kept(folder: Path, uri: str) -> Iterator[Outbox]:
    """What `Outbox.keep` wrote for the MLflow at `uri`; `Outbox.discard` takes each away."""
    for file in sorted(folder.glob("*.json")):
        content = _read(file, uri)
        if content is None:
            continue
        box = Outbox(content["run_id"], content["name"])
        box._fill(content)
        box.ending = tuple(content["ending"]) if content["ending"] else None
        yield box


def _read(file: Path, uri: str) -> dict[str, Any] | None:
    """What was kept in a file; None where there is none, or one for another MLflow."""
    if not file.exists():
        return None
    content = json.loads(file.read_text())
    return content if content["tracking"] == digest(uri) else None


def send_kept(folder: Path, uri: str, client: "MlflowClient") -> None:
    """Sends what stages before this one could not, as far as MLflow answers now. What one run waits
    for holds no other up, unless calls hang."""
    left_s = _FAILING_S
    for box in kept(folder, uri):
        began = time.monotonic()
        try:
            box.send(client)
        except Exception as error:
            if is_outage(error):
                left_s -= time.monotonic() - began
                if left_s <= 0:
                    return
                continue
            reason = redact(str(error).partition("\n")[0])
            _logger.warning("%s: what waited for it is dropped: %s", box.name, reason)
            box.forget()
            try:
                box.send(client)
            except Exception as refused:  # a run that is no longer there needs no end
                if is_outage(refused):
                    box.keep(folder, uri)
                    continue
        else:
            _logger.warning("%s: MLflow has what waited for it", box.name)
        box.discard(folder)


def _copied(path: Path, below: Path) -> str:
    """A copy of a file or folder, in a new folder `below`; itself where it lies there already."""
    if path.is_relative_to(below):
        return str(path)
    below.mkdir(parents=True, exist_ok=True)
    copy = below / str(len(list(below.iterdir()))) / path.name
    if path.is_dir():
        shutil.copytree(path, copy)
    else:
        copy.parent.mkdir()
        shutil.copy2(path, copy)
    return str(copy)


def digest(uri: str) -> str:
    """16 hex digits that stand for an address, which may hold a password."""
    return hashlib.sha256(uri.encode()).hexdigest()[:16]
