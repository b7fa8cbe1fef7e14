"""The project's only MLflow client. It lives in the driver process; workers report to a hub.

Runs form a tree: one parent per lineage (an execution of the pipeline), below it one run per
stage, below that one per trained part. A stage process finds the parent by the tags
`sgan.lineage` and `sgan.clone`, so that the processes of one `dvc repro` share it, and those of
another clone do not.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UserError
from pipeline.paths import UNSENT, owning_project
from pipeline.tracking import outbox
from pipeline.tracking.asking import LOCK_S, Answer, Asker, is_outage
from pipeline.tracking.experiment import open_experiment
from pipeline.tracking.lineage import Lineage, origin_tags
from pipeline.tracking.outbox import Outbox
from pipeline.tracking.run import StageRun, status_of
from pipeline.tracking.texts import flatten
from pipeline.tracking.tree import COMPLETE, Tree, measured
from pipeline.tracking.uri import (
    artifact_location,
    interface,
    is_server,
    lock_path,
    tracking_uri,
)

if TYPE_CHECKING:
    from pipeline.tracking.models import LoggedStack

_logger = logging.getLogger(__name__)


class Tracker:
    """Opens an experiment and gives out its runs.

    Attributes:
        client: the `mlflow.MlflowClient`, bound to the tracking URI; no global state is set.
        experiment_id: id of the experiment.
        shown_uri: the tracking URI without credentials, fit to print.
    """

    def __init__(
        self,
        root: Path,
        experiment: str = "sgan",
        uri: str | None = None,
        patient: bool = True,
    ) -> None:
        """Opens `experiment`, creating it (and a fresh database) under a lock if need be, and
        sends what earlier processes could not.

        Args:
            root: the workspace. In a temporary workspace of `dvc exp run --queue` or `--temp`
                the runs go to the project that it belongs to.
            experiment: name of the MLflow experiment.
            uri: tracking URI; None takes `MLFLOW_TRACKING_URI`, and without that
                `<root>/mlflow.db` with artifacts in `<root>/mlartifacts`.
            patient: wait for a server that is away.

        Raises:
            UserError: the server does not answer (told within seconds; one that did before is
                waited for) or refuses, the database cannot be opened, or the experiment was
                deleted.
        """
        root = owning_project(root.resolve())
        self._asker = Asker(tracking_uri(root, uri), patient)
        self.shown_uri = self._asker.shown_uri
        self._folder = root / UNSENT  # which addresses have answered before lies there, too
        self._parents: dict[str, Outbox] = {}
        self._boxes: list[Outbox] = []
        self._told = False
        with self.answering():
            self._asker.reach(known=self._reached().exists())
        from filelock import FileLock

        self._lock = FileLock(lock_path(self._asker.uri, root), timeout=LOCK_S)
        with self.answering(), self._lock:
            # The first client on a fresh database migrates it, which no two processes may do.
            self.client = self._asker.connect()
            location = artifact_location(self._asker.uri, root)
            found = open_experiment(self._asker, experiment, location)
            self.experiment_id = found.experiment_id
            outbox.send_kept(self._folder, self._asker.uri, self.client)
        self._tree = Tree(self._asker, self.experiment_id)
        if is_server(self._asker.uri):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._reached().touch()

    def parent(
        self, lineage: Lineage, params: Mapping[str, Any] | None = None, again: bool = False
    ) -> str:
        """Id of the lineage's parent run, found by its tags or created, and set to RUNNING.

        An execution that was evaluated has ended: the next one gets a parent of its own. So does
        an experiment that is run again under the same DVC name with other parameters. What dead
        processes of this clone left RUNNING is ended first.

        Args:
            lineage: the execution.
            params: the whole nested parameter set, logged flattened.
            again: take the parent of an execution that has ended, too.
        """
        if lineage.tag_value not in self._parents:
            with self.answering(), self._lock:
                self._tree.end_dead(lineage.clone)
                run_id = self._tree.open_parent(lineage, again)
            box = Outbox(run_id, lineage.name, unsure=True)
            box.take_up(self._folder, self._asker.uri)
            self._parents[lineage.tag_value] = box
        box = self._parents[lineage.tag_value]
        if params:
            box.add_params(flatten(params))
            self.ask(lambda: box.send(self.client))
        return box.run_id

    def finish_parent(
        self, lineage: Lineage, metrics: Mapping[str, float] | None = None, step: int = 0
    ) -> None:
        """Ends the execution, FINISHED with its final `metrics` at `step`.

        Only a stage that shows it opens its parent run again.
        """
        self.parent(lineage, again=True)
        box = self._parents[lineage.tag_value]
        now_ms = int(time.time() * 1000)
        for key, value in (metrics or {}).items():
            box.add_metric(key, value, step, now_ms)
        box.add_tags(COMPLETE)
        box.end("FINISHED")
        self.deliver(box, patient=True)

    def close_parent(self, lineage: Lineage, status: str) -> None:
        """Ends the parent run until the next stage opens it, unless another stage is at work."""
        box = self._parents.get(lineage.tag_value)
        if box is not None and not self._busy_elsewhere(box):
            box.end(status)
            self.deliver(box, patient=status == "FINISHED")

    def close(self, status: str) -> None:
        """Ends whatever this process opened and has not ended, for example because it was told to
        stop in the middle of opening a run."""
        parents = [box for box in self._parents.values() if not box.done]
        open_still = [box for box in self._boxes if not box.done]
        open_still += [box for box in parents if not self._busy_elsewhere(box)]
        for box in open_still:
            if box.ending is None:
                box.end(status)
            try:
                self.deliver(box, patient=False)
            except UserError as error:  # must not hide what ended the stage
                _logger.warning("%s: its run could not be ended: %s", box.name, error)

    def end_with(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        """`close`, as the exit of the stage's context manager."""
        self.close(status_of(kind))

    def deliver(self, box: Outbox, patient: bool) -> None:
        """Sends all of an outbox; what a server that is away does not take is kept on the disk.

        Raises:
            UserError: MLflow refuses something.
        """
        try:
            self._asker.ask(lambda: box.send(self.client), patient)
            box.discard(self._folder)
        except Exception as error:
            if not is_outage(error):
                box.forget()  # the run's end is not refused: whoever tries again sends that
                with self.answering():
                    raise
            box.keep(self._folder, self._asker.uri)
            if not self._told:
                _logger.warning(
                    "MLflow at %s is away: what was logged waits in %s, and the next stage or "
                    "command sends it",
                    self.shown_uri,
                    self._folder,
                )
            self._told = True

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
        run = self._open(lineage, name, stage, None, identity, inherited, began)
        run.log_params(params or {})
        return run

    def run_page(self, run_id: str) -> str:
        """Address of a run in MLflow's interface, "" where none can be given."""
        address = interface(self._asker.uri)
        return address and f"{address}/#/experiments/{self.experiment_id}/runs/{run_id}"

    def log_model(
        self, run: StageRun, name: str, stack_path: Path, **options: Any
    ) -> "LoggedStack":
        """Logs a trained stack as an MLflow model: `pipeline.tracking.models.log_model`."""
        from pipeline.tracking.models import log_model

        ids = (self.experiment_id, run.run_id)
        return self.ask(lambda: log_model(self.client, *ids, name, stack_path, **options))

    def open_part(
        self, stage: StageRun, name: str, part_key: str, tags: Mapping[str, Any]
    ) -> StageRun:
        """The run of a part below `stage`: what `StageRun.child` uses."""
        identity = {
            "sgan.lineage": stage.lineage.tag_value,
            "sgan.clone": stage.lineage.clone,
            "sgan.role": "part",
            "sgan.part": name,
            "sgan.part_key": part_key,
        }
        more = {**stage.inherited_tags, **tags, "mlflow.parentRunId": stage.run_id}
        return self._open(stage.lineage, name, name, stage, identity, more)

    def trained_by(self, part_key: str, clone: str) -> dict[str, Any]:
        """Tags that link to the run that trained a part: what `StageRun.mark_reused` sets."""
        with self.answering():
            return self._tree.to_maker(part_key, clone)

    def ask(self, call: Callable[[], Answer]) -> Answer:
        """What `call` gets from MLflow, which is waited for. Raises UserError."""
        with self.answering():
            return self._asker.ask(call)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Turns what MLflow raises inside into one UserError, without credentials."""
        with self._asker.answering():
            yield

    def _open(
        self,
        lineage: Lineage,
        shown: str,
        name: str,
        above: StageRun | None,
        identity: Mapping[str, str],
        more: Mapping[str, Any],
        began: float | None = None,
    ) -> StageRun:
        with self.answering():
            run_id, found = self._tree.go_on(shown, identity, more, began)
            parent = more.get("mlflow.parentRunId") or identity["mlflow.parentRunId"]
            self._tree.link_down(parent, {name: run_id})
        begun = found.info.start_time / 1000 if found else began or time.time()
        run = StageRun(
            self,
            lineage,
            run_id,
            name,
            above,
            more,
            resumed=found is not None,
            measured=found is not None and measured(found),
            part_key=identity.get("sgan.part_key", ""),
            began=begun,
        )
        run.box.take_up(self._folder, self._asker.uri)
        self._boxes.append(run.box)
        return run

    def _busy_elsewhere(self, parent: Outbox) -> bool:
        try:
            return self._tree.busy_elsewhere(parent.run_id)
        except Exception as error:
            if is_outage(error):
                return False
            with self.answering():
                raise

    def _reached(self) -> Path:
        """A file that is there once the address has answered."""
        return self._folder / f"reached-{outbox.digest(self._asker.uri)}"
