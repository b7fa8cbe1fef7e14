"""What would run and why, and what the last run's times say that it costs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import paths
from pipeline.execution import dvc_remote
from pipeline.report.record import read_stages
from pipeline.tracking.lineage import leaves

if TYPE_CHECKING:
    from dvc.stage import Stage as DvcStage

    from pipeline.params.loading import Params

LAST = Path("metrics/retrain.json")

_SHOWN_CHANGES = 4
_KINDS = {"encoder": "encoder", "features": "encoder", "joint": "joint", "evaluate": "judge"}


@dataclass(frozen=True)
class Step:
    """A stage that would run, or one trained part of it.

    Attributes:
        name: of the stage, or levelN.
        why: it is stale.
        sure: whether it is stale itself; else only if what it builds on comes out otherwise.
        seconds: that it took last time, scaled to the images that it has to see now; None where
            that is not known.
        cores: that it keeps busy.
    """

    name: str
    why: str
    sure: bool
    seconds: float | None
    cores: float

    @property
    def core_minutes(self) -> float | None:
        """What it costs."""
        return None if self.seconds is None else self.seconds * self.cores / 60


def plan(root: Path, params: Params, *, new_data: bool = False) -> list[Step]:
    """What `dvc repro` would run in `root`, in the order of the DAG; outputs that are not here but
    known to dvc.lock count as there. The run-cache, which may spare some of it, is not asked.

    Args:
        root: the project.
        params: its parameters.
        new_data: whether `prepare` is to look at its source again.

    Raises UserError where DVC cannot read the project.
    """
    with dvc_remote.opened(root, "the project") as repo:
        graph = repo.index.graph
        stale: dict[str, _Stale] = {}
        for stage in _ordered(graph):
            name = stage.addressing
            changes = _changes(stage)
            if new_data and name == "prepare":
                changes = ["its source may have new data", *changes]
            needs = [one.addressing for one in graph.successors(stage)]  # an edge is a need
            stirred = [need for need in needs if need in stale]
            if changes or stirred:
                stale[name] = _Stale(changes, stirred)
    times = Times.read(root)
    return [step for name, one in stale.items() for step in _steps(name, one, params, times)]


@dataclass(frozen=True)
class _Stale:
    """Why a stage would run: what changed, in words, and the stale stages that it builds on."""

    changes: Sequence[str]
    stirred: Sequence[str]

    @property
    def why(self) -> str:
        if not self.changes:
            return self.doubt
        more = len(self.changes) - _SHOWN_CHANGES
        return ", ".join(self.changes[:_SHOWN_CHANGES]) + (f" and {more} more" if more > 0 else "")

    @property
    def doubt(self) -> str:
        return f"if {', '.join(self.stirred)} comes out otherwise"

    @property
    def levels(self) -> list[str]:
        """The levels whose settings changed, where nothing else of the stage did; else []."""
        named = [one.split(".")[1] for one in self.changes if one.startswith("levels.")]
        return named if len(named) == len(self.changes) else []


@dataclass(frozen=True)
class Times:
    """Seconds that each stage and level took last, and the images that it then saw."""

    seconds: Mapping[str, float]
    images: Mapping[str, int]

    @classmethod
    def read(cls, root: Path) -> Times:
        """From metrics/: the stages' own files, and what the last retraining noted; and what the
        evaluation that lies here saw. Raises UserError where that is something else."""
        facts = read_stages(root / paths.EVALUATE)
        seconds = {fact.name: fact.seconds for fact in facts if fact.seconds is not None}
        seconds |= _json(root / LAST).get("seconds", {})
        images: dict[str, int] = {}
        for name in ("prepare", "encoder", "features", "levels", "joint"):
            found = _json(root / paths.metrics_file(name))
            parts = {key: one for key, one in found.items() if isinstance(one, dict)}
            for key, one in {name: found, **(parts if name == "levels" else {})}.items():
                if "seconds" in one:
                    seconds[key] = float(one["seconds"])
                if "images_seen" in one:
                    images[key] = int(one["images_seen"])
        return cls(seconds, images)

    def of(self, name: str, images: int | None = None) -> float | None:
        """Seconds of a stage or level; for `images` where those are more or fewer now."""
        took, seen = self.seconds.get(name), self.images.get(name)
        if took is None or images is None or not seen:
            return took
        return took * images / seen


def cores_of(name: str, params: Params) -> float:
    """Cores that a stage or level keeps busy: threads for each of its workers."""
    runtime = params.runtime
    if name.startswith("level") and name.removeprefix("level").isdigit():
        level = params.levels[int(name.removeprefix("level"))]
        return runtime.threads_of("level") * level.workers
    kind = _KINDS.get(name)
    workers = {"encoder": params.encoder.workers, "joint": params.joint.workers}.get(name, 1)
    return runtime.threads_of(kind) * workers if kind else 1


def _steps(name: str, stale: _Stale, params: Params, times: Times) -> list[Step]:
    if name == "levels":
        return _level_steps(stale, params, times)
    section: Any = {"encoder": params.encoder, "joint": params.joint}.get(name)
    images = section.total_images if section and getattr(section, "enabled", True) else None
    seconds, cores = times.of(name, images), cores_of(name, params)
    return [Step(name, stale.why, bool(stale.changes), seconds, cores)]


def _level_steps(stale: _Stale, params: Params, times: Times) -> list[Step]:
    found = []
    for i in sorted(params.levels, reverse=True):
        changed = bool(stale.changes) and (not stale.levels or str(i) in stale.levels)
        if changed or stale.stirred:
            name, why = f"level{i}", stale.why if changed else stale.doubt
            seconds = times.of(name, params.levels[i].total_images)
            found.append(Step(name, why, changed, seconds, cores_of(name, params)))
    return found


def _ordered(graph: Any) -> list[DvcStage]:
    import networkx as nx

    names = list(nx.dfs_postorder_nodes(graph))
    return [stage for stage in names if getattr(stage, "cmd", None)]


def _changes(stage: DvcStage) -> list[str]:
    """What differs from dvc.lock, in words: settings with old and new value, files, the command."""
    from dvc.dependency.param import ParamsDependency

    if not any(out.hash_info for out in stage.outs):
        return ["never ran"]
    made = {out.fs_path: out for out in stage.repo.index.outs}
    found = ["its command"] if stage.changed_stage() else []
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            found += _settings(dep)
        elif dep.fs_path in made:  # what lies in the workspace may be older than dvc.lock
            if dep.hash_info != made[dep.fs_path].hash_info:
                found.append(f"{dep} is another")
        elif dep.status():
            found.append(f"{dep} {'is gone' if not dep.exists else 'changed'}")
    return found


def _settings(dep: Any) -> list[str]:
    locked, now = dep.hash_info.value or {}, dep.read_params()
    old, new = leaves(locked), leaves(now)
    changed = [
        path for path in [*new, *(p for p in old if p not in new)] if old.get(path) != new.get(path)
    ]
    return [f"{'.'.join(path)}: {_text(old, path)} → {_text(new, path)}" for path in changed]


def _text(values: Mapping[tuple[str, ...], Any], path: tuple[str, ...]) -> str:
    return str(values[path]) if path in values else "-"


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}
