"""Executions in MLflow, found by whatever people call them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.comparison import (
    SCORES,
    figures_in,
    from_file,
    nested,
    read_scores,
    scores_file,
    scores_from_metrics,
)
from pipeline.errors import UserError
from pipeline.evaluation.report import ReportData, StageFact
from pipeline.evaluation.scores import Score

if TYPE_CHECKING:
    from mlflow.entities import Run

    from pipeline.evaluation.charts import Curves
    from pipeline.tracking import Tracker

_SHORTEST_PREFIX = 4
_AT_MOST = 5000
_SHEETS = "evaluate"


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


def load_runs(asked: Sequence[str], root: Path, downloads: Path) -> list[ReportData]:
    """What is known of each run asked for, with different titles.

    Args:
        asked: an MLflow run id, a lineage or DVC experiment's name, the beginning of one, or the
            path of a scores.json or of a folder that holds it.
        root: the project.
        downloads: a folder for pictures and scores from MLflow.

    Raises:
        UserError: no such run (the nearest names are listed), one that was not evaluated, or a
            tracking server that does not answer.
    """
    found: list[ReportData] = []
    runs: Runs | None = None
    for text in asked:
        file = scores_file(Path(text))
        if file is not None:
            found.append(from_file(file))
            continue
        runs = runs or Runs(root)
        found.append(runs.report(text, downloads))
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


class Runs:
    """The executions in MLflow that were evaluated, newest first."""

    def __init__(self, root: Path) -> None:
        """Raises UserError where the tracking server does not answer."""
        from pipeline.tracking import Tracker

        self._tracker: Tracker = Tracker(root, os.environ.get("MLFLOW_EXPERIMENT_NAME", "sgan"))
        with self._tracker.answering():
            parents = self._search("tags.`sgan.role` = 'parent'")
            evaluated = self._search("tags.`sgan.stage` = 'evaluate'")
        self._names = {run.info.run_id: run.info.run_name for run in parents}
        self.unfinished = [r.info.run_name for r in parents]
        self.all = [self._execution(run) for run in evaluated if run.data.metrics]

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

    def report(self, text: str, downloads: Path) -> ReportData:
        """Scores, parameters, pictures, curves and times of an execution."""
        one = self.find(text)
        run, tags = one.evaluate, one.evaluate.data.tags
        dirty = " (dirty)" if tags.get("sgan.git_dirty") == "true" else ""
        folder = self._download(run.info.run_id, downloads)
        scores = _scores_of(run, folder)
        with self._tracker.answering():
            children = self._search(f"tags.`mlflow.parentRunId` = '{one.parent}'")
            curves = list(self._curves(children))
        return ReportData(
            title=one.title,
            revision=tags.get("sgan.git_revision", "")[:10] + dirty,
            scores=scores,
            figures=figures_in(folder) if folder else [],
            curves=curves,
            stages=[self._stage(child) for child in reversed(children)],
            params=nested(run.data.params),
        )

    def _download(self, run_id: str, downloads: Path) -> Path | None:
        from mlflow.exceptions import MlflowException

        target = downloads / run_id
        target.mkdir(parents=True, exist_ok=True)
        try:
            found = self._tracker.client.download_artifacts(run_id, _SHEETS, str(target))
        except (MlflowException, OSError):
            return None
        return Path(found)

    def _curves(self, stages: Sequence[Run]) -> Iterator[Curves]:
        from pipeline.evaluation.charts import Curves

        for stage in stages:
            name = stage.data.tags.get("sgan.stage")
            if name not in ("levels", "joint"):
                continue
            below = f"tags.`mlflow.parentRunId` = '{stage.info.run_id}'"
            for run in [stage] if name == "joint" else self._search(below):
                for level, keys in _by_level(run.data.metrics).items():
                    series = {key.split("/")[-1]: self._history(run, key) for key in keys}
                    title = f"joint, level {level}" if name == "joint" else f"level {level}"
                    yield Curves(title, series, level=level)

    def _history(self, run: Run, key: str) -> list[tuple[float, float]]:
        points = self._tracker.client.get_metric_history(run.info.run_id, key)
        return sorted((float(p.step), float(p.value)) for p in points)

    def _stage(self, run: Run) -> StageFact:
        ended = run.info.end_time
        seconds = (ended - run.info.start_time) / 1000 if ended else None
        return StageFact(run.info.run_name, seconds, status=run.info.status.lower())


def _by_level(metrics: Mapping[str, float]) -> dict[int, list[str]]:
    """Keys `level0/loss_g_adv`, … by level; sums of losses and speeds are left out."""
    levels: dict[int, list[str]] = {}
    for key in sorted(metrics):
        level, _, name = key.partition("/")
        number = level.removeprefix("level")
        if name.startswith("loss_") and name not in ("loss_d", "loss_g") and number.isdecimal():
            levels.setdefault(int(number), []).append(key)
    return levels


def _scores_of(run: Run, folder: Path | None) -> list[Score]:
    if folder is not None and (folder / SCORES).is_file():
        return read_scores((folder / SCORES).read_text("utf-8"), f"{SCORES} of {run.info.run_id}")
    return scores_from_metrics(run.data.metrics)
