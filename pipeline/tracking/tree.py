"""The tree of runs: found by tags, created, going on, ended when their owner died."""

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.tracking import clone
from pipeline.tracking.asking import Asker, is_outage
from pipeline.tracking.lineage import Lineage, origin_tags
from pipeline.tracking.links import downwards, is_reused, to_maker
from pipeline.tracking.system import PREFIX
from pipeline.tracking.texts import tag_values

if TYPE_CHECKING:
    from mlflow.entities import Run

UNFINISHED = ("RUNNING", "SCHEDULED", "FAILED", "KILLED")

_PROCESS = "sgan.process"
_OPENED = "sgan.opened"
_COMPLETE = "sgan.complete"
COMPLETE = {_COMPLETE: "true"}

_MANY = 1000


class Tree:
    """Runs of one experiment. Raises what MLflow raises; a server that is away is waited for."""

    def __init__(self, asker: Asker, experiment_id: str) -> None:
        self._asker, self._experiment = asker, experiment_id

    def newest(self, tags: Mapping[str, str], status: str = "", at_most: int = 1) -> "list[Run]":
        """The newest run with these tags, or more; of one `status` where that is given."""
        return self._asker.ask(lambda: self._search(tags, status, at_most))

    def create(self, name: str, tags: Mapping[str, Any], began: float | None = None) -> str:
        """A new run's id; `began` in seconds since the epoch, None for now."""
        start = None if began is None else int(began * 1000)
        mark = {_OPENED: secrets.token_hex(8)}
        text = {**tag_values(tags), **mark}
        client, tries = self._asker.client, 0

        def once() -> str:
            nonlocal tries
            tries += 1  # the answer may have been lost, not the call
            made = self._search(mark) if tries > 1 else []
            run = made[0] if made else client.create_run(self._experiment, start, text, name)
            return run.info.run_id

        return self._asker.ask(once)

    def go_on(
        self,
        name: str,
        identity: Mapping[str, str],
        more: Mapping[str, Any],
        began: float | None = None,
    ) -> "tuple[str, Run | None]":
        """The id of the unfinished run with the tags `identity`, which is RUNNING again, and that
        run as it was found; or of a new one, and None."""
        more = {**more, _PROCESS: clone.process_mark()}
        found = next(iter(self.newest(identity)), None)
        if found is None or not _may_go_on(found, identity):
            return self.create(name, {**more, **identity}, began), None
        run_id = found.info.run_id
        self._reopen(found, {**more, "sgan.resumed": "true"})
        return run_id, found

    def open_parent(self, lineage: Lineage, again: bool) -> str:
        """The execution's parent run, RUNNING.

        An execution goes on in its parent: that of its lineage, or another one of this clone,
        revision and parameters that nobody executes any more (`dvc exp run` gives what was
        killed a new name). Once it was evaluated it has ended, and another one begins.

        Args:
            lineage: the execution.
            again: an execution that has ended may be opened too, for what only shows it.
        """
        identity = {
            "sgan.role": "parent",
            "sgan.clone": lineage.clone,
            "sgan.params_digest": lineage.params_digest,
        }
        tags = {**origin_tags(lineage), **identity, _PROCESS: clone.execution_mark()}
        named = self.newest({**identity, "sgan.lineage": lineage.tag_value})
        for run in named:
            if again or not _complete(run):
                self._reopen(run, {_PROCESS: tags[_PROCESS]})
                return run.info.run_id
        same_code = {**identity, "sgan.git_revision": lineage.git_revision}
        for run in [] if named else self.newest(same_code):
            if not _complete(run) and not clone.is_alive_elsewhere(run.data.tags.get(_PROCESS, "")):
                self._adopt(run, lineage, tags)
                return run.info.run_id
        return self.create(lineage.name, tags)

    def to_maker(self, part_key: str, clone_name: str) -> dict[str, Any]:
        """Tags that link to the run that trained the part with this key, rather one of this clone;
        {} where MLflow knows none, or is away: it is not waited for."""
        try:
            found = self._asker.ask(
                lambda: self._search({"sgan.part_key": part_key}, "FINISHED", _MANY), patient=False
            )
        except Exception as error:
            if is_outage(error):
                return {}
            raise
        trained = [run for run in found if not is_reused(run)]
        own = [run for run in trained if run.data.tags.get("sgan.clone") == clone_name]
        maker = next(iter(own or trained), None)
        return to_maker(self._experiment, maker) if maker else {}

    def link_down(self, run_id: str, below: Mapping[str, str]) -> None:
        """Give a run links to runs below it, ids by what they are called."""
        run = self._asker.ask(lambda: self._asker.client.get_run(run_id))
        self._tag(run, downwards(self._experiment, run.data.tags, below))

    def busy_elsewhere(self, parent: str) -> bool:
        """Whether a stage in another process is at work below this parent."""
        running = self.newest({"mlflow.parentRunId": parent}, "RUNNING", _MANY)
        return any(clone.is_alive_elsewhere(run.data.tags.get(_PROCESS, "")) for run in running)

    def end_dead(self, name: str) -> None:
        """Ends, as KILLED, what a dead process of the clone `name` left RUNNING."""
        for run in self.newest({"sgan.clone": name}, "RUNNING", _MANY):
            if clone.is_dead(run.data.tags.get(_PROCESS, "")):
                self._asker.client.set_terminated(run.info.run_id, "KILLED")

    def _search(self, tags: Mapping[str, str], status: str = "", at_most: int = 1) -> "list[Run]":
        wanted = [f"tags.`{key}` = '{value}'" for key, value in tags.items()]
        wanted += [f"attributes.status = '{status}'"] if status else []
        order = ["attributes.start_time DESC"]
        text = " and ".join(wanted)
        return list(
            self._asker.client.search_runs(
                [self._experiment], text, order_by=order, max_results=at_most
            )
        )

    def _reopen(self, run: "Run", tags: Mapping[str, Any]) -> None:
        client, run_id = self._asker.client, run.info.run_id
        self._asker.ask(lambda: client.update_run(run_id, status="RUNNING"))
        self._tag(run, tags)

    def _tag(self, run: "Run", tags: Mapping[str, Any]) -> None:
        from mlflow.entities import RunTag

        client, known = self._asker.client, run.data.tags
        new = [RunTag(k, v) for k, v in tag_values(tags).items() if known.get(k) != v]
        if new:
            self._asker.ask(lambda: client.log_batch(run.info.run_id, tags=new))

    def _adopt(self, parent: "Run", lineage: Lineage, tags: Mapping[str, Any]) -> None:
        """Makes a parent run and all below it runs of `lineage`. An experiment that goes on outside
        `dvc exp run` keeps its name."""
        client, origin = self._asker.client, origin_tags(lineage)
        self._reopen(parent, tags)
        if lineage.dvc_exp_name:
            self._asker.ask(lambda: client.update_run(parent.info.run_id, name=lineage.name))
        todo = [parent]
        while todo:
            run = todo.pop()
            self._tag(run, origin)
            todo += self.newest({"mlflow.parentRunId": run.info.run_id}, at_most=_MANY)


def measured(run: "Run") -> bool:
    """Whether a run has metrics of its work, and not only of the machine."""
    return any(not key.startswith(PREFIX) for key in run.data.metrics)


def _complete(run: "Run") -> bool:
    return run.data.tags.get(_COMPLETE) == "true"


def _may_go_on(run: "Run", identity: Mapping[str, str]) -> bool:
    """Whether an unfinished run is nobody's, and what is measured now belongs to it: what trains
    nothing begins anew, so once it has measured something another attempt has its own run."""
    begins_anew = "sgan.part_key" not in identity and measured(run)
    taken = clone.is_alive_elsewhere(run.data.tags.get(_PROCESS, ""))
    running = run.info.status == "RUNNING"
    return run.info.status in UNFINISHED and not begins_anew and not (running and taken)
