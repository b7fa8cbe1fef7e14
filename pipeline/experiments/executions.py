"""Executions in MLflow, found by whatever people call them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UserError
from pipeline.experiments.comparison import (
    from_file,
    nested,
    scores_file,
)
from pipeline.report.contents import Curves, ReportData, curve_title
from pipeline.report.figures import figures_in
from pipeline.report.record import SCORES, StageFact, read_scores, read_stages
from pipeline.scores.headline import headline_keys
from pipeline.tracking.experiment import experiment_name
from pipeline.tracking.tree import measured
from pipeline.tracking.uri import links_note

if TYPE_CHECKING:
    from mlflow.entities import Run

    from pipeline.tracking.tracker import Tracker

_SHORTEST_PREFIX = 4
_AT_MOST = 5000
_FOLDER = "evaluate"


@dataclass(frozen=True)
class Execution:
    """An execution of the pipeline that was evaluated, in MLflow.

    Attributes:
        evaluate: the run of its evaluate stage.
        parent: its parent run's id.
        names: whatever a person may call it by: ids, lineage, DVC experiment, run name.
        title: the one to show.
    """

    evaluate: Run
    parent: str
    names: tuple[str, ...]
    title: str


def load_runs(
    asked: Sequence[str], root: Path, downloads: Path, *, curves: bool = True
) -> list[ReportData]:
    """What is known of each run asked for, with different titles.

    Args:
        asked: an MLflow run id, a lineage or DVC experiment's name, the beginning of one, or the
            path of a scores.json or of a folder that holds it.
        root: the project.
        downloads: a folder for pictures and scores from MLflow.
        curves: read the losses of every part too, which takes MLflow a while.

    Raises:
        UserError: no such run (the nearest names are listed), one that was not evaluated, or a
            tracking server that does not answer.
    """
    found: list[ReportData] = []
    known: Executions | None = None
    for text in asked:
        file = scores_file(Path(text))
        if file is not None:
            found.append(from_file(file))
            continue
        known = known or Executions(root)
        found.append(known.report(text, downloads, curves=curves))
    return _distinct(found)


def _distinct(runs: Sequence[ReportData]) -> list[ReportData]:
    """The same runs, titles that occur twice numbered."""
    titles: dict[str, int] = {}
    named = []
    for run in runs:
        titles[run.title] = titles.get(run.title, 0) + 1
        count = titles[run.title]
        named.append(run if count == 1 else replace(run, title=f"{run.title} ({count})"))
    return named


class Executions:
    """The executions in MLflow that were evaluated, newest first."""

    def __init__(self, root: Path) -> None:
        """Raises UserError where the tracking server does not answer."""
        from pipeline.tracking.tracker import Tracker

        self._tracker: Tracker = Tracker(root, experiment_name(), patient=False)
        with self._tracker.answering():
            parents = self._search("tags.`sgan.role` = 'parent'")
            evaluated = self._search("tags.`sgan.stage` = 'evaluate'")
        self._names = {run.info.run_id: run.info.run_name for run in parents}
        self.unfinished = [r.info.run_name for r in parents]
        self.all = [self._execution(run) for run in evaluated if measured(run)]

    def _search(self, tags: str) -> list[Run]:
        found: list[Run] = []
        token = None
        while len(found) < _AT_MOST:
            page = self._tracker.client.search_runs(
                [self._tracker.experiment_id],
                tags,
                order_by=["attributes.start_time DESC"],
                page_token=token,
            )
            found += page
            token = page.token
            if not token:
                break
        return found

    def _execution(self, run: Run) -> Execution:
        tags = run.data.tags
        parent = tags.get("mlflow.parentRunId", "")
        title = tags.get("sgan.dvc_exp_name") or self._names.get(parent) or run.info.run_id[:8]
        names = (run.info.run_id, parent, tags.get("sgan.lineage", ""), title)
        return Execution(run, parent, tuple(dict.fromkeys(filter(None, names))), title)

    def find(self, text: str) -> Execution:
        """The newest execution with this name, or the one that begins with it.

        Raises UserError where there is none, or where several begin so.
        """
        exact = [one for one in self.all if text in one.names]
        if exact:
            return exact[0]
        begun = [one for one in self.all if any(n.startswith(text) for n in one.names)]
        different = {one.title: one for one in reversed(begun)}
        if len(text) >= _SHORTEST_PREFIX and len(different) == 1:
            return begun[0]
        if len(text) >= _SHORTEST_PREFIX and different:
            raise UserError(f"run {text!r}: several begin so: {', '.join(different)}")
        raise UserError(self._unknown(text))

    def _unknown(self, text: str) -> str:
        where = self._tracker.shown_uri
        if text in self.unfinished:
            return f"run {text!r} in {where} was never evaluated; finish it with `dvc repro`"
        titles = list(dict.fromkeys(one.title for one in self.all))
        if not titles:
            return f"run {text!r}: no execution in {where} was evaluated yet; run `dvc repro`"
        near = get_close_matches(text, titles, n=5, cutoff=0.4)
        listed = f"nearest: {', '.join(near)}" if near else f"newest: {', '.join(titles[:5])}"
        return f"run {text!r}: neither a path nor in {where}; {listed}"

    def report(self, text: str, downloads: Path, *, curves: bool = True) -> ReportData:
        """Scores, parameters, pictures, times and, if wanted, `curves` of an execution.

        Raises UserError for one that is not there or did not end, and where MLflow does not answer.
        """
        one = self.find(text)
        run, tags = one.evaluate, one.evaluate.data.tags
        dirty = " (dirty)" if tags.get("sgan.git_dirty") == "true" else ""
        folder = self._files(run.info.run_id, downloads)
        scores = read_scores(folder / SCORES, f"{SCORES} of {run.info.run_id}")
        stages = read_stages(folder)
        with self._tracker.answering():
            drawn = list(self._curves(stages)) if curves else []
        return ReportData(
            title=one.title,
            revision=tags.get("sgan.git_revision", "")[:10] + dirty,
            scores=scores,
            headline=headline_keys(scores),
            figures=figures_in(folder),
            curves=drawn,
            stages=[self._linked(fact) for fact in stages],
            params=nested(run.data.params),
            links_note=links_note(self._tracker.shown_uri),
        )

    def _files(self, run_id: str, downloads: Path) -> Path:
        """What evaluate left. Raises UserError where it cannot be had."""
        target = downloads / run_id
        target.mkdir(parents=True, exist_ok=True)
        with self._tracker.answering():
            client = self._tracker.client
            if not client.list_artifacts(run_id, _FOLDER):
                raise UserError(
                    f"run {run_id}: {self._tracker.shown_uri} has scores of it but no files; its "
                    "evaluation did not end: run `dvc repro`"
                )
            return Path(client.download_artifacts(run_id, _FOLDER, str(target)))

    def _linked(self, fact: StageFact) -> StageFact:
        link = self._tracker.run_page(fact.run_id) if fact.run_id else ""
        return replace(fact, link=link)

    def _curves(self, stages: Sequence[StageFact]) -> Iterator[Curves]:
        for fact in stages:
            trained = fact.name == "joint" or fact.part_of == "levels"
            if not (trained and fact.run_id):
                continue
            run = self._run(fact.run_id)
            if run is None:
                continue
            for level, keys in _by_level(run.data.metrics).items():
                series = {key.split("/")[-1]: self._history(run, key) for key in keys}
                yield Curves(curve_title(fact.name, level), series, level=level)

    def _run(self, run_id: str) -> Run | None:
        """A run, None for one that was purged."""
        from mlflow.exceptions import MlflowException

        try:
            return self._tracker.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def _history(self, run: Run, key: str) -> list[tuple[float, float]]:
        points = self._tracker.client.get_metric_history(run.info.run_id, key)
        return sorted((float(p.step), float(p.value)) for p in points)


def _by_level(metrics: Mapping[str, float]) -> dict[int, list[str]]:
    """Keys `level0/loss_g_adv`, … by level; sums of losses and speeds are left out."""
    levels: dict[int, list[str]] = {}
    for key in sorted(metrics):
        level, _, name = key.partition("/")
        number = level.removeprefix("level")
        if name.startswith("loss_") and name not in ("loss_d", "loss_g") and number.isdecimal():
            levels.setdefault(int(number), []).append(key)
    return levels
