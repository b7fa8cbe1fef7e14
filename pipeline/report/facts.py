"""How what lies in this workspace came to be: each stage's time, its inputs, its MLflow run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import paths
from pipeline.report.record import StageFact, read_stages
from pipeline.tracking.lineage import Lineage
from pipeline.tracking.links import is_reused

if TYPE_CHECKING:
    from mlflow.entities import Run

    from pipeline.tracking.tracker import Tracker

DVC_YAML = Path("dvc.yaml")
REUSED = "reused"


@dataclass(frozen=True)
class Workspace:
    """A project, and where MLflow knows it.

    Attributes:
        root: the project's folder.
        levels: the numbers of the stack's levels.
        lineage: the execution that is under way.
        tracker: by which runs are looked up.
    """

    root: Path
    levels: Sequence[int]
    lineage: Lineage
    tracker: Tracker


def stage_facts(workspace: Workspace, last: str, seconds: float, run_id: str) -> list[StageFact]:
    """A fact per stage that `last` builds on, in the order of dvc.yaml, then its own; and one per
    level as part of `levels`.

    A stage that did not run in this execution has the time from its metrics file and the MLflow
    run that made its outputs, where MLflow still knows it; `note` then names that execution.

    Args:
        workspace: where to look.
        last: the stage that asks.
        seconds: what has passed of it.
        run_id: its MLflow run.

    Raises:
        UserError: MLflow does not answer, or the data are not there.
    """
    stages = waits(workspace.root)
    wanted = {last, *all_before(last, stages)}
    made = _makers(workspace, last, run_id)
    facts = []
    for name in (one for one in stages if one in wanted):
        taken = seconds if name == last else _seconds(workspace.root, name)
        facts.append(_fact(workspace, name, taken, made.get(name), needs=stages[name]))
        if name == "levels":
            for i in sorted(workspace.levels, reverse=True):
                part = f"level{i}"
                taken = _seconds(workspace.root, name, part)
                facts.append(_fact(workspace, part, taken, made.get(part), part_of=name))
    return facts


def made_elsewhere(workspace: Workspace) -> dict[str, str]:
    """What another execution than the one under way made of what lies here: that one's tag, by
    stage or level. A stage that is not named was made now, or MLflow knows nothing of it.

    Raises UserError as `stage_facts`.
    """
    tracker, ours = workspace.tracker, workspace.lineage.tag_value
    runs = _runs(workspace)
    # What it evaluated no tag tells; it left its run's id beside its scores.
    ids = [fact.run_id for fact in read_stages(workspace.root / paths.EVALUATE)[-1:] if fact.run_id]
    runs["evaluate"] = [tracker.ask(partial(tracker.client.get_run, run_id)) for run_id in ids]
    found = {
        name: [run.data.tags.get("sgan.lineage", "") for run in made if not is_reused(run)]
        for name, made in runs.items()
    }
    return {name: made[0] for name, made in found.items() if made and ours not in made}


def all_before(name: str, waits_for: Mapping[str, Iterable[str]]) -> set[str]:
    """What a stage waits for, what that waits for, and so on."""
    needs = set(waits_for.get(name, ()))
    return needs.union(*(all_before(need, waits_for) for need in needs))


def waits(root: Path) -> dict[str, list[str]]:
    """What each stage of dvc.yaml waits for, without what follows from that; {} without the file.

    evaluate reads what prepare and joint wrote; since joint waits for prepare, it waits for joint.
    """
    import yaml

    if not (root / DVC_YAML).is_file():
        return {}
    stages = yaml.safe_load((root / DVC_YAML).read_text(encoding="utf-8"))["stages"]
    makers = {_path(out): name for name, stage in stages.items() for out in stage.get("outs", ())}
    direct = {
        name: {makers[_path(dep)] for dep in stage.get("deps", ()) if _path(dep) in makers}
        for name, stage in stages.items()
    }
    further = {
        name: set().union(*(all_before(need, direct) for need in needs))
        for name, needs in direct.items()
    }
    return {
        name: [need for need in stages if need in needs - further[name]]
        for name, needs in direct.items()
    }


def _path(entry: str | Mapping[str, Any]) -> str:
    """An out or a dep is a path, or a mapping from the path to its options."""
    return entry if isinstance(entry, str) else next(iter(entry))


def _seconds(root: Path, name: str, *inside: str) -> float | None:
    """`seconds` of a stage's metrics, None in a file of an older version."""
    try:
        found: Any = json.loads((root / paths.metrics_file(name)).read_text(encoding="utf-8"))
        for key in (*inside, "seconds"):
            found = found[key]
        return float(found)
    except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError):
        return None


def _fact(
    workspace: Workspace, name: str, seconds: float | None, made: Run | None, **more: Any
) -> StageFact:
    if made is None:
        return StageFact(name, seconds, status="", **more)
    tags, run_id = made.data.tags, made.info.run_id
    execution, lineage = tags.get("sgan.lineage", ""), workspace.lineage
    ours = (lineage.tag_value, lineage.clone)
    here = (execution, tags.get("sgan.clone")) == ours
    return StageFact(
        name,
        seconds,
        status="" if here else REUSED,
        note="" if here else execution,
        run_id=run_id,
        link=workspace.tracker.run_page(run_id),
        **more,
    )


def _makers(workspace: Workspace, last: str, run_id: str) -> dict[str, Run]:
    """The MLflow run that made the outputs of each stage and level, as far as there is one."""
    tracker, found = workspace.tracker, _runs(workspace)
    makers = {name: runs[0] for name, runs in found.items() if runs}
    above = {last: run_id}
    if levels := _above_all(workspace, [found.get(f"level{i}", []) for i in workspace.levels]):
        above["levels"] = levels
    for name, one in above.items():
        makers[name] = tracker.ask(partial(tracker.client.get_run, one))
    return makers


def _above_all(workspace: Workspace, levels: Sequence[Sequence[Run]]) -> str | None:
    """The run of the stage levels that had every level, or else some of them: this clone's own
    before others', then the newest. A level's part is also trained by what is no stage."""
    parents = [
        {
            run.data.tags["mlflow.parentRunId"]: (
                run.data.tags.get("sgan.clone") == workspace.lineage.clone,
                run.info.start_time,
            )
            for run in runs
            if run.data.tags.get("sgan.stage") == "levels"
        }
        for runs in levels
    ]
    known = {parent: place for each in parents for parent, place in each.items()}
    whole = [parent for parent in known if all(parent in each for each in parents)]
    return max(whole or known, key=known.__getitem__, default=None)


def _runs(workspace: Workspace) -> dict[str, list[Run]]:
    """The runs that made, or reused, each output, in `_search`'s order."""
    return {
        name: workspace.tracker.ask(partial(_search, workspace, tags))
        for name, tags in _marks(workspace).items()
    }


def _marks(workspace: Workspace) -> dict[str, dict[str, str]]:
    """By which tags to find the run that made each output, read from the outputs themselves.

    evaluate needs only some of them; the others may be missing (`dvc repro --allow-missing`).
    """
    from pipeline.data.features import metadata
    from pipeline.data.manifest import Manifest
    from sgan.weights import read_card

    root = workspace.root
    digest = Manifest.load(root / paths.DATA).data_digest
    marks = {"prepare": {"stage": "prepare", "data_digest": digest}}
    features = root / paths.FEATURES_FILE
    if features.is_file():
        digests = {f"{name}_digest": digest for name, digest in metadata(features).items()}
        marks["features"] = {"stage": "features", **digests}
    weights = {
        "encoder": paths.ENCODER_WEIGHTS,
        **{f"level{i}": paths.level_weights(i) for i in workspace.levels},
        "joint": paths.STACK_WEIGHTS,
    }
    for name, path in weights.items():
        key = read_card(root / path).get("key") if (root / path).is_file() else None
        if key:
            marks[name] = {"part_key": key}
    return marks


def _search(workspace: Workspace, tags: Mapping[str, str]) -> list[Run]:
    """Finished runs with these `sgan.` tags: those that computed, then those that reused; this
    clone's own first, where another did the same."""
    found = workspace.tracker.client.search_runs(
        [workspace.tracker.experiment_id],
        " and ".join(f"tags.`sgan.{key}` = '{value}'" for key, value in tags.items()),
        order_by=["attributes.start_time DESC"],
    )
    finished = [run for run in found if run.info.status == "FINISHED"]
    return sorted(
        finished,
        key=lambda run: (
            is_reused(run),
            run.data.tags.get("sgan.clone") != workspace.lineage.clone,
        ),
    )
