"""What a retraining came to: which stages and parts ran, what was reused, what it cost.

An entry of dvc.lock that differs does not say that anything was trained: the part may have come
from storage, the outputs from DVC's run-cache. Who made what lies here, MLflow knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pipeline import paths
from pipeline.execution.retraining.branch import Base, file_at
from pipeline.execution.retraining.plan import LAST, Times, cores_of
from pipeline.report.record import read_stages
from pipeline.storage.atomic import write_json

if TYPE_CHECKING:
    from pipeline.params.loading import Params

LOCK = Path("dvc.lock")
UNCHANGED, REUSED, TRAINED, RAN = "unchanged", "reused", "trained", "ran"

_TRAINING = ("encoder", "joint")


@dataclass(frozen=True)
class Done:
    """A stage, or a level of it, after the retraining.

    Attributes:
        name: of the stage, or levelN.
        how: unchanged, reused (from another execution), trained, or ran.
        seconds: that it took when it was made; None where nobody noted it.
        cores: that it kept busy.
        note: the execution that it was reused from, "" where unknown or none.
    """

    name: str
    how: str
    seconds: float | None
    cores: float
    note: str = ""

    @property
    def core_minutes(self) -> float:
        """What it cost this time: nothing where it did not run."""
        spent = self.how in (TRAINED, RAN) and self.seconds is not None
        return (self.seconds or 0) * self.cores / 60 if spent else 0.0


@dataclass(frozen=True)
class Outcome:
    """All stages and levels, as dvc.lock has them in order."""

    done: tuple[Done, ...]

    @property
    def is_news(self) -> bool:
        """Whether anything differs from what the commit has."""
        return any(one.how != UNCHANGED for one in self.done)

    @property
    def core_minutes(self) -> float:
        """Spent in all."""
        return sum(one.core_minutes for one in self.done)

    def write(self, root: Path, version: str) -> None:
        """Note it in metrics/: for the next plan's costs, and which version of the registered
        model this is ("" where it is none)."""
        seconds = {one.name: one.seconds for one in self.done if one.seconds is not None}
        how = {one.name: one.how for one in self.done}
        spent = round(self.core_minutes, 2)
        noted = {"version": version, "core_minutes": spent, "how": how, "seconds": seconds}
        write_json(root / LAST, noted)


def outcome(
    root: Path,
    base: Base,
    params: Params,
    ask: Callable[[], Mapping[str, str] | None] = lambda: None,
) -> Outcome:
    """What the workspace has beside what the commit `base` has.

    Args:
        root: the project.
        base: what was retrained.
        params: its parameters.
        ask: gives `report.facts.made_elsewhere`, where anything differs; None where MLflow could
            not be asked, and what the evaluation noted has to do, if it is of today.

    Raises UserError for files that are something else.
    """
    before = stages_in(file_at(root, base.revision, LOCK))
    lock = root / LOCK
    after = stages_in(lock.read_bytes() if lock.is_file() else None)
    facts = {fact.name: fact for fact in read_stages(root / paths.EVALUATE)}
    changed = {name for name, entry in after.items() if before.get(name) != entry}
    elsewhere = ask() if changed else {}
    if elsewhere is None:
        reused = {one.name: one.note for one in facts.values() if one.status == "reused"}
        elsewhere = reused if "evaluate" in changed else {}
    times = Times.read(root)
    found: list[Done] = []
    for name in after:
        names = [name]
        if name == "levels":
            names = [f"level{i}" for i in sorted(params.levels, reverse=True)]
        for one in names:
            seconds = facts[one].seconds if one == "evaluate" and one in facts else times.of(one)
            how = _how(one, name in changed, one in elsewhere)
            note = elsewhere.get(one, "") if how == REUSED else ""
            found.append(Done(one, how, seconds, cores_of(one, params), note))
    return Outcome(tuple(found))


def stages_in(lock: bytes | None) -> dict[str, Any]:
    """Each stage's entry in a dvc.lock, but for its metrics, which hold the time that it took: one
    that ran again and made the same is no other. {} without a lock."""
    found = yaml.safe_load(lock) if lock else None
    stages: dict[str, Any] = found.get("stages", {}) if isinstance(found, Mapping) else {}
    return {name: {**entry, "outs": _results(entry)} for name, entry in stages.items()}


def _results(entry: Mapping[str, Any]) -> list[Any]:
    outs = entry.get("outs", [])
    return [out for out in outs if Path(str(out.get("path", ""))).parts[:1] != paths.METRICS.parts]


def _how(name: str, changed: bool, elsewhere: bool) -> str:
    if not changed:
        return UNCHANGED
    if elsewhere:
        return REUSED
    return TRAINED if name in _TRAINING or name.startswith("level") else RAN
