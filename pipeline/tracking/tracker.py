"""The project's only MLflow client. It lives in the driver process; workers report to a hub.

Runs form a tree: one parent per lineage (an execution of the pipeline), below it one run per
stage, below that one per trained part. A stage process finds the parent by the tag
`sgan.lineage`, so that the processes of one `dvc repro` share it.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pipeline.errors import UserError
from pipeline.tracking.lineage import Lineage, origin_tags
from pipeline.tracking.redaction import redact
from pipeline.tracking.run import UNFINISHED, StageRun, is_outage, tag_values
from pipeline.tracking.uri import (
    artifact_location,
    check_reachable,
    interface,
    is_server,
    lock_path,
    no_answer,
    owning_project,
    tracking_uri,
)

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run

    from pipeline.tracking.models import LoggedStack

_LOCK_S = 120.0

# MLflow's own defaults keep a caller waiting for four minutes; these give up after some seconds.
# What it prints by itself would run through the progress bars. A person's own settings win.
_MLFLOW_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class Tracker:
    """Opens an experiment and gives out its runs.

    Attributes:
        client: the `mlflow.MlflowClient`, bound to the tracking URI; no global state is set.
        experiment_id: id of the experiment.
        shown_uri: the tracking URI without credentials, fit to print.
    """

    def __init__(self, root: Path, experiment: str = "sgan", uri: str | None = None) -> None:
        """Opens `experiment`, creating it (and a fresh database) under a lock if need be.

        Args:
            root: the workspace. In a temporary workspace of `dvc exp run --queue` or `--temp`
                the runs go to the project that it belongs to.
            experiment: name of the MLflow experiment.
            uri: tracking URI; None takes `MLFLOW_TRACKING_URI`, and without that
                `<root>/mlflow.db` with artifacts in `<root>/mlartifacts`.

        Raises:
            UserError: the server does not answer (told within seconds) or refuses, the database
                cannot be opened, or the experiment was deleted.
        """
        for variable, value in _MLFLOW_DEFAULTS.items():
            os.environ.setdefault(variable, value)
        root = owning_project(root.resolve())
        self._uri = tracking_uri(root, uri)
        self.shown_uri = redact(self._uri)
        self._parents: dict[str, str] = {}
        check_reachable(self._uri)
        import mlflow
        from filelock import FileLock

        logging.getLogger("alembic").setLevel(logging.WARNING)
        self._lock = FileLock(lock_path(self._uri, root), timeout=_LOCK_S)
        with self.answering(), self._lock:
            # The first client on a fresh database migrates it, which no two processes may do.
            self.client = mlflow.MlflowClient(self._uri, registry_uri=self._uri)
            location = artifact_location(self._uri, root)
            self.experiment_id = self._open(experiment, location).experiment_id

    def parent(self, lineage: Lineage, params: Mapping[str, Any] | None = None) -> str:
        """Id of the lineage's parent run, found by its tag or created, and set to RUNNING.

        An experiment run again under the same DVC name with other parameters gets a parent of its
        own.

        Args:
            lineage: the execution.
            params: the whole nested parameter set, logged flattened.
        """
        if lineage.tag_value not in self._parents:
            identity = {"sgan.role": "parent", "sgan.params_digest": lineage.params_digest}
            with self.answering(), self._lock:
                found = self._newest(lineage, identity)
                if found is None:
                    tags = {**origin_tags(lineage), **identity}
                    run_id = self._create(lineage.name, tags)
                else:
                    run_id = found.info.run_id
                    self.client.update_run(run_id, status="RUNNING")
            self._parents[lineage.tag_value] = run_id
        run_id = self._parents[lineage.tag_value]
        if params:
            StageRun(self, lineage, run_id, lineage.name).log_params(params)
        return run_id

    def finish_parent(
        self,
        lineage: Lineage,
        metrics: Mapping[str, float] | None = None,
        step: int = 0,
        status: str = "FINISHED",
    ) -> None:
        """Ends the parent run, with the execution's final `metrics` at `step`.

        A stage that fails ends it too, as FAILED or KILLED; the next stage opens it again.
        """
        run_id = self.parent(lineage)
        run = StageRun(self, lineage, run_id, lineage.name, resumed=True)
        run.log_metrics([(key, value, step) for key, value in (metrics or {}).items()])
        with self.answering():
            self.client.set_terminated(run_id, status)
        self._parents.pop(lineage.tag_value, None)

    def stage(
        self,
        lineage: Lineage,
        stage: str,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        part_key: str | None = None,
        began: float | None = None,
        label: str = "",
    ) -> StageRun:
        """A run of one stage below the parent; an unfinished one of the same lineage goes on,
        unless it trains nothing and has measured something already.

        Args:
            lineage: the execution.
            stage: name of the stage, which the run is called (tag `sgan.stage`).
            params: nested settings to log with the run.
            tags: further tags, e.g. `{"sgan.data_digest": digest}`.
            part_key: of the part that the stage trains (tag `sgan.part_key`), so that only an
                unfinished run of that key goes on.
            began: when the stage began, seconds since the epoch; None is now.
            label: what tells the run from others of its stage, shown behind its name.
        """
        inherited = {
            **origin_tags(lineage),
            "sgan.stage": stage,
            "sgan.dvc_stage": os.environ.get("DVC_STAGE"),
            "mlflow.source.name": f"stage {stage}",
            "mlflow.source.type": "LOCAL",
            **(tags or {}),
        }
        identity = {
            "mlflow.parentRunId": self.parent(lineage),
            "sgan.role": "stage",
            "sgan.stage": stage,
        }
        if part_key is not None:
            identity["sgan.part_key"] = part_key
        name = f"{stage} · {label}" if label else stage
        run_id, resumed = self._resume_or_create(lineage, name, identity, inherited, began)
        run = StageRun(self, lineage, run_id, stage, None, inherited, resumed)
        run.log_params(params or {})
        return run

    def run_page(self, run_id: str) -> str:
        """Address of a run in MLflow's interface, "" where none can be given."""
        address = interface(self._uri)
        return address and f"{address}/#/experiments/{self.experiment_id}/runs/{run_id}"

    def log_model(
        self, run: StageRun, name: str, stack_path: Path, **options: Any
    ) -> "LoggedStack":
        """Logs a trained stack as an MLflow model: `pipeline.tracking.models.log_model`."""
        from pipeline.tracking.models import log_model

        with self.answering():
            return log_model(
                self.client, self.experiment_id, run.run_id, name, stack_path, **options
            )

    def open_part(
        self, stage: StageRun, name: str, part_key: str, tags: Mapping[str, Any]
    ) -> StageRun:
        """The run of a part below `stage`: what `StageRun.child` uses."""
        identity = {"sgan.role": "part", "sgan.part": name, "sgan.part_key": part_key}
        more = {**stage.inherited_tags, **tags, "mlflow.parentRunId": stage.run_id}
        run_id, resumed = self._resume_or_create(stage.lineage, name, identity, more)
        return StageRun(self, stage.lineage, run_id, name, stage, more, resumed)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Turns what MLflow raises inside into one UserError, without credentials."""
        from filelock import Timeout
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except Timeout:
            raise UserError(
                f"{self.shown_uri}: another process has held the tracking lock for "
                f"{_LOCK_S:.0f} s; end it and run again"
            ) from None
        except ModuleNotFoundError as error:  # a database's driver
            raise UserError(f"MLflow at {self.shown_uri}: {error}; install it") from error
        except SQLAlchemyError as error:  # the first line; the statement follows
            reason = redact(str(error).partition("\n")[0])
            raise UserError(f"MLflow's database {self.shown_uri}: {reason}") from error
        except (MlflowException, OSError) as error:
            reason = redact(str(error)).strip()
            if is_server(self._uri) and is_outage(error):
                raise UserError(f"{no_answer(self._uri)} ({reason[:300]})") from error
            raise UserError(f"MLflow at {self.shown_uri}: {reason[:1000]}") from error

    def _open(self, name: str, location: str | None) -> "Experiment":
        found = self.client.get_experiment_by_name(name)
        if found is None:
            if location is not None:
                Path(url2pathname(urlsplit(location).path)).mkdir(parents=True, exist_ok=True)
            created = self.client.create_experiment(name, artifact_location=location)
            return self.client.get_experiment(created)
        if found.lifecycle_stage != "active":
            raise UserError(
                f"the MLflow experiment {name!r} at {self.shown_uri} was deleted. Bring it back "
                f"with `mlflow experiments restore -x {found.experiment_id}` or take another name."
            )
        kept = urlsplit(found.artifact_location)
        if not is_server(self._uri) and kept.scheme == "file":
            folder = Path(url2pathname(kept.path))
            if not folder.exists() and folder != Path(url2pathname(urlsplit(location or "").path)):
                raise UserError(
                    f"the MLflow experiment {name!r} at {self.shown_uri} keeps its files in "
                    f"{folder}, which does not exist: was the project moved? Move it back, link "
                    "the folder, or set the old database aside."
                )
        return found

    def _newest(self, lineage: Lineage, tags: Mapping[str, str]) -> "Run | None":
        """The newest run of `lineage` with these tags."""
        wanted = {"sgan.lineage": lineage.tag_value, **tags}
        found = self.client.search_runs(
            [self.experiment_id],
            " and ".join(f"tags.`{key}` = '{value}'" for key, value in wanted.items()),
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
        return found[0] if found else None

    def _create(self, name: str, tags: Mapping[str, Any], began: float | None = None) -> str:
        start = None if began is None else int(began * 1000)
        text = tag_values(tags)
        return self.client.create_run(self.experiment_id, start, text, run_name=name).info.run_id

    def _resume_or_create(
        self,
        lineage: Lineage,
        name: str,
        identity: Mapping[str, str],
        more: Mapping[str, Any],
        began: float | None = None,
    ) -> tuple[str, bool]:
        """The run's id, and whether it was there before."""
        with self.answering():
            found = self._newest(lineage, identity)
            if found is None or found.info.status not in UNFINISHED or _measured(found, identity):
                return self._create(name, {**more, **identity}, began), False
            run_id = found.info.run_id
            self.client.update_run(run_id, status="RUNNING")
            for key, value in tag_values({**more, "sgan.resumed": "true"}).items():
                if found.data.tags.get(key) != value:
                    self.client.set_tag(run_id, key, value)
        return run_id, True


def _measured(run: "Run", identity: Mapping[str, str]) -> bool:
    """Whether a run that trains nothing has measured something: another attempt begins anew, and
    what it measures is not of this one."""
    return "sgan.part_key" not in identity and bool(run.data.metrics)
