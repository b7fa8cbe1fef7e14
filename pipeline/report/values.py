"""What a page says of a score beside its number: the change, the bar, where it stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.scores.score import INCOMPARABLE, Score, verdict

MOST_TIMES = 1000  # a real value so much smaller is a zero but for rounding, as of equal images
GOALS = {"lower": "lower is better", "higher": "higher is better", "near real": "nearer real"}


@dataclass(frozen=True)
class Change:
    """A difference in words, "+0.01 better", and the CSS class of its colour."""

    text: str
    kind: str = "dim"


@dataclass(frozen=True)
class Gauge:
    """A bar: per cent of its length for the value and for the real images' mark."""

    value: float
    real: float
    low: bool


def change(before: Score | None, score: Score | None) -> Change | None:
    """The difference from an earlier score and what it is worth; None where one is missing."""
    if before is None or score is None or before.value is None or score.value is None:
        return None
    said = verdict(before, score)
    if said in INCOMPARABLE:
        return Change(said)
    if score.value == before.value:
        return Change("the same")
    kind = {"better": "good", "worse": "bad"}.get(said, "dim")
    return Change(f"{score.value - before.value:+.3g} {said}", kind)


def gauge(score: Score, largest: float | None = None) -> Gauge | None:
    """A bar from 0 to the larger of the score and the real images' value, or to `largest`.

    None where one of the two is missing or there is nothing above 0.
    """
    if score.value is None or score.real is None:
        return None
    full = largest or max(score.value, score.real)
    if full <= 0:
        return None
    value, real = (min(100.0, max(0.0, 100 * v / full)) for v in (score.value, score.real))
    return Gauge(value, real, score.better == "lower")


def standing(score: Score) -> str:
    """Where the score stands to real images, and which way is better: "95% of that · …"."""
    goal = GOALS[score.better]
    if score.value is None or score.real is None or score.real <= 0:
        return goal
    ratio = score.value / score.real
    if ratio > MOST_TIMES:
        return f"far above this · {goal}"
    share = f"{ratio:.2g} times this floor" if score.better == "lower" else f"{ratio:.0%} of that"
    return f"{share} · {goal}"


def class_bars(score: Score) -> list[tuple[str, float, float]]:
    """(class, value, per cent of the largest class's) in the order of the classes."""
    largest = max(score.per_class.values(), default=0.0) or 1
    return [(name, v, 100 * max(0.0, v) / largest) for name, v in score.per_class.items()]


def protocol_lines(score: Score) -> Mapping[str, str]:
    """How it was measured, each fact as text."""
    facts = {str(key): _plain(value) for key, value in score.protocol.items()}
    return facts | ({"sd over": str(score.repeats)} if score.repeats > 1 else {})


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
