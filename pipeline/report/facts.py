"""How what lies in this workspace came to be: each stage's time, its inputs, its MLflow run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import paths
from pipeline.execution.stage import Stage
from pipeline.report.contents import StageFact

if TYPE_CHECKING:
    from mlflow.entities import Run

    from pipeline.tracking.run import StageRun

DVC_YAML = Path("dvc.yaml")
REUSED = "reused"


def stage_facts(stage: Stage, run: StageRun) -> list[StageFact]:
    """A fact per stage of dvc.yaml, in its order, and one per level as part of `levels`.

    A stage that did not run in this execution has the time from its metrics file and the MLflow
    run that made its outputs, where MLflow still knows it; `note` then names that execution.

    Args:
        stage: the evaluate stage, whose time is what has passed of it.
        run: its MLflow run.
    """
    stages = waits(stage.root)
    made = _makers(stage, run)
    facts = []
    for name, needs in stages.items():
        seconds = stage.seconds() if name == stage.name else _seconds(stage.root, name)
        facts.append(_fact(stage, name, seconds, made.get(name), needs=needs))
        if name == "levels":
            for i in sorted(stage.params.levels, reverse=True):
                part = f"level{i}"
                seconds = _seconds(stage.root, name, part)
                facts.append(_fact(stage, part, seconds, made.get(part), part_of=name))
    return facts


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

    def all_before(name: str) -> set[str]:
        return direct[name].union(*(all_before(need) for need in direct[name]))

    return {
        name: [need for need in stages if need in needs - set().union(*map(all_before, needs))]
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
    stage: Stage, name: str, seconds: float | None, made: Run | None, **more: Any
) -> StageFact:
    if made is None:
        return StageFact(name, seconds, status="", **more)
    tags, run_id = made.data.tags, made.info.run_id
    execution = tags.get("sgan.lineage", "")
    here = execution == stage.lineage.tag_value
    return StageFact(
        name,
        seconds,
        status="" if here else REUSED,
        note="" if here else execution,
        run_id=run_id,
        link=stage.tracker.run_page(run_id),
        **more,
    )


def _makers(stage: Stage, run: StageRun) -> dict[str, Run]:
    """The MLflow run that made the outputs of each stage and level, as far as there is one."""
    client = stage.tracker.client
    with stage.tracker.answering():
        found = {name: _search(stage, tags) for name, tags in _marks(stage).items()}
        makers = {name: runs[0] for name, runs in found.items() if runs}
        levels = [run for i in stage.params.levels for run in found.get(f"level{i}", ())]
        if levels:
            newest = max(levels, key=lambda one: one.info.start_time)
            makers["levels"] = client.get_run(newest.data.tags["mlflow.parentRunId"])
        makers[stage.name] = client.get_run(run.run_id)
    return makers


def _marks(stage: Stage) -> dict[str, dict[str, str]]:
    """By which tags to find the run that made each output, read from the outputs themselves.

    evaluate needs only some of them, so the others may be missing (`dvc repro --allow-missing`).
    """
    from pipeline.data.features import metadata
    from sgan.weights import read_card

    marks = {"prepare": {"stage": "prepare", "data_digest": stage.manifest().data_digest}}
    features = stage.path(paths.FEATURES_FILE)
    if features.is_file():
        digests = {f"{name}_digest": digest for name, digest in metadata(features).items()}
        marks["features"] = {"stage": "features", **digests}
    weights = {
        "encoder": paths.ENCODER_WEIGHTS,
        **{f"level{i}": paths.level_weights(i) for i in stage.params.levels},
        "joint": paths.STACK_WEIGHTS,
    }
    for name, path in weights.items():
        key = read_card(stage.path(path)).get("key") if stage.path(path).is_file() else None
        if key:
            marks[name] = {"part_key": key}
    return marks


def _search(stage: Stage, tags: Mapping[str, str]) -> list[Run]:
    """Finished runs with these `sgan.` tags: those that computed, then those that reused."""
    found = stage.tracker.client.search_runs(
        [stage.tracker.experiment_id],
        " and ".join(f"tags.`sgan.{key}` = '{value}'" for key, value in tags.items()),
        order_by=["attributes.start_time DESC"],
    )
    finished = [run for run in found if run.info.status == "FINISHED"]
    return sorted(finished, key=lambda run: run.data.tags.get("sgan.reused") == "true")
