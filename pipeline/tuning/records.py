"""What trials were found to be: every look at them, kept in a file that outlives the search."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.storage.atomic import write_json

FAILED = 1e6  # the objective of a trial whose level is not finite: ASHA takes percentiles


@dataclass(frozen=True)
class Look:
    """One look at a trial.

    Attributes:
        trial: its number.
        images_seen: of its training.
        frechet, diversity: `pipeline.tuning.yardstick.Measured`.
        objective: what ASHA minimises.
        collapsed: whether the diversity is below what was asked for.
        final: whether the training was at its end.
        reused: whether that was found in storage, and not trained in this search.
        failed: why the training ended before its end, "" for none. frechet is then None, as it is
            where what was made is not finite.
    """

    trial: int
    images_seen: int
    frechet: float | None
    diversity: float
    objective: float
    collapsed: bool
    final: bool = False
    reused: bool = False
    failed: str = ""


def objective(frechet: float, diversity: float, least: float) -> float:
    """The Fréchet distance, and up to twice that by as much as the diversity lacks of `least`.

    Every level begins collapsed, so that a hard bound would rank the trials of an early rung by
    their diversity alone; the bound is a hard one where the winner is chosen (`best`).
    """
    if not math.isfinite(frechet):
        return FAILED
    lack = max(0.0, 1 - diversity / least) if least > 0 else 0.0
    return min(FAILED, frechet * (1 + lack))


class Records:
    """The looks of a search, in the order in which they came, as a JSON file. A search has few, so
    the file is written anew each time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.looks: list[Look] = read(path)

    def add(self, look: Look) -> None:
        """One more. A trial that went on from its checkpoint may be at a place for the second time:
        what was found there is found again, and kept once."""
        known = [one.images_seen for one in self.of(look.trial)]
        if look.images_seen in known and not look.failed:
            return
        self.looks.append(look)
        write_json(self.path, [asdict(one) for one in self.looks])

    def of(self, trial: int) -> list[Look]:
        """A trial's looks, in order of images seen; its failure last, as what went on from a
        checkpoint does not know how far it was."""
        return sorted((one for one in self.looks if one.trial == trial), key=_place)


def _place(look: Look) -> tuple[bool, int]:
    return bool(look.failed), look.images_seen


def read(path: Path) -> list[Look]:
    """The looks in a file; [] where there is none."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return [Look(**row) for row in rows]


def best(looks: Sequence[Look]) -> Look | None:
    """Of the trials at their end that have not collapsed, that with the smallest objective; None
    where there is none."""
    ended = [one for one in looks if one.final and not one.collapsed]
    return min(ended, key=lambda one: (one.objective, one.trial), default=None)


def furthest(looks: Sequence[Look]) -> Look | None:
    """Of the trials that were stopped and had not collapsed, the best of those that got furthest;
    None where there is none."""
    last = {one.trial: one for one in sorted(looks, key=_place)}
    sound = [one for one in last.values() if not (one.collapsed or one.final or one.failed)]
    return min(sound, key=lambda one: (-one.images_seen, one.objective), default=None)
