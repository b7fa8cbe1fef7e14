"""A search as one picture: its trials' curves, and their settings beside what came of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.report import charts
from pipeline.report.contents import Curves
from pipeline.storage.atomic import write_bytes
from pipeline.tuning.outcome import Outcome, Tried
from sgan.config import to_dict

_AXIS, _TOP, _BOTTOM, _LEFT = 110, 40, 250, 60
_GOAL = "Fréchet distance"


@dataclass(frozen=True)
class Axis:
    """One axis of the parallel coordinates: where it stands, and what its ends are called."""

    name: str
    x: float
    low: str
    high: str


@dataclass(frozen=True)
class Drawn:
    """A trial's line: its number, how it is drawn (best, present, other, lost), its points."""

    number: int
    kind: str
    points: str
    title: str


def draw(outcome: Outcome, path: Path) -> None:
    """Write the picture as an SVG file, atomically."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pipeline", "tuning/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    axes, lines = coordinates(outcome)
    curves = charts.chart(
        Curves(
            "log10 of the Fréchet distance",
            {str(one.number): _log_curve(one) for one in outcome.tried},
        )
    )
    text = environment.get_template("search.svg.j2").render(
        outcome=outcome,
        curves=curves,
        axes=axes,
        lines=lines,
        kinds={str(one.number): kind_of(outcome, one) for one in outcome.tried},
        top=_TOP,
        bottom=_BOTTOM,
        width=charts.WIDTH + 40 + _LEFT + _AXIS * len(axes),
    )
    write_bytes(path, text.encode())


def kind_of(outcome: Outcome, tried: Tried) -> str:
    """How a trial is drawn: the best one, the present settings, lost (collapsed, diverged, not
    begun), any other."""
    if tried.number == outcome.best:
        return "best"
    if tried.number == 0:
        return "present"
    lost = tried.last is None or tried.fate in ("collapsed", "diverged")
    return "lost" if lost else "other"


def coordinates(outcome: Outcome) -> tuple[list[Axis], list[Drawn]]:
    """An axis for each setting that was searched and one for the last Fréchet distance, best at the
    top; a line through them for each trial that was measured, the best one last.

    A setting that spans an order of magnitude has a logarithmic axis.
    """
    shown = [one for one in outcome.tried if one.last and one.last.frechet is not None]
    names = sorted({name for one in outcome.tried for name in one.setting.changes})
    columns = {name: [to_dict(one.setting.config)[name] for one in shown] for name in names}
    goal = [one.last.frechet for one in shown if one.last]
    axes, heights = [], []
    for index, (name, values) in enumerate([*columns.items(), (_GOAL, goal)]):
        heights.append(_places(values, upside_down=name == _GOAL))
        low, high = _ends(values)
        ends = (high, low) if name == _GOAL else (low, high)
        axes.append(Axis(name, _LEFT + index * _AXIS, *ends))
    lines = []
    for row, one in enumerate(shown):
        points = " ".join(
            f"{axis.x:.0f},{_BOTTOM - height[row] * (_BOTTOM - _TOP):.1f}"
            for axis, height in zip(axes, heights, strict=True)
        )
        told = ", ".join(f"{name} {columns[name][row]}" for name in names)
        title = f"trial {one.number} ({one.fate}): {told}; {_GOAL} {goal[row]:.4g}"
        lines.append(Drawn(one.number, kind_of(outcome, one), points, title))
    order = ("lost", "other", "present", "best")
    return axes, sorted(lines, key=lambda line: order.index(line.kind))


def _log_curve(tried: Tried) -> list[tuple[float, float]]:
    return [
        (look.images_seen, math.log10(max(look.frechet, 1e-6)))
        for look in tried.looks
        if look.frechet is not None
    ]


def _ends(values: Sequence[object]) -> tuple[str, str]:
    numbers = [float(value) for value in values if isinstance(value, (int, float))]
    if not all(map(_is_number, values)) or not values:
        words = sorted({str(value) for value in values})
        return (words[0], words[-1]) if words else ("", "")
    return f"{min(numbers):.3g}", f"{max(numbers):.3g}"


def _places(values: Sequence[object], upside_down: bool) -> list[float]:
    """Each value's height on its axis, 0 to 1; what is no number by its place among the others."""
    if all(_is_number(value) for value in values):
        numbers = [float(value) for value in values]  # type: ignore[arg-type]
        if numbers and min(numbers) > 0 and max(numbers) >= 10 * min(numbers):
            numbers = [math.log(number) for number in numbers]
    else:
        words = sorted({str(value) for value in values})
        numbers = [float(words.index(str(value))) for value in values]
    span = (max(numbers) - min(numbers)) if numbers else 0
    shares = [(number - min(numbers)) / span if span else 0.5 for number in numbers]
    return [1 - share if upside_down else share for share in shares]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
