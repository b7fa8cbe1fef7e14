"""Line charts: where their lines, ticks and words stand. A template draws them.

matplotlib's SVG of a level's chart was tried: 2.7 times the bytes, colours fixed in style
attributes (so no dark mode), styles and ids that reach beyond the chart, seconds of import.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report.contents import Curves, Points

WIDTH, HEIGHT = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 22, 12, 50
POINTS = 240


@dataclass(frozen=True)
class Tick:
    """A round number on an axis, and where, in the SVG's pixels."""

    text: str
    at: float


@dataclass(frozen=True)
class Line:
    """A series: `points` as a polyline takes them, `last` as a person reads it."""

    name: str
    points: str
    last: str


@dataclass(frozen=True)
class Chart:
    """A chart without its looks. `said` tells it to those who cannot see it."""

    said: str
    x_label: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    lines: Sequence[Line]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


def chart(curves: Curves) -> Chart | None:
    """The chart of some curves; None where no series has two finite points.

    Long series are averaged over buckets; the y range covers the averaged values.
    """
    series = {name: thin(points) for name, points in curves.series.items()}
    series = {name: points for name, points in series.items() if len(points) > 1}
    if not series:
        return None
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    x_ticks, y_ticks = ticks(min(xs), max(xs), 5), ticks(min(ys), max(ys), 5)

    def x_at(x: float) -> float:
        return LEFT + _share(x, x_ticks) * (WIDTH - LEFT - RIGHT)

    def y_at(y: float) -> float:
        return HEIGHT - BOTTOM - _share(y, y_ticks) * (HEIGHT - TOP - BOTTOM)

    lines = [
        Line(name, " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in points), f"{last:.4g}")
        for name, points in series.items()
        for _, last in points[-1:]
    ]
    said = "; ".join(f"{line.name} ends at {line.last}" for line in lines)
    return Chart(
        f"{curves.title}: {said}",
        curves.x_label,
        [Tick(short(x), x_at(x)) for x in x_ticks],
        [Tick(short(y), y_at(y)) for y in y_ticks],
        lines,
    )


def thin(points: Points, limit: int = POINTS) -> list[tuple[float, float]]:
    """Finite points in order of x, averaged over buckets so that at most `limit` are left."""
    finite = sorted((x, y) for x, y in points if math.isfinite(x) and math.isfinite(y))
    size = -(-len(finite) // limit) or 1
    buckets = [finite[start : start + size] for start in range(0, len(finite), size)]
    return [
        (sum(x for x, _ in bucket) / len(bucket), sum(y for _, y in bucket) / len(bucket))
        for bucket in buckets
    ]


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers (1, 2 or 5 times a power of ten) that enclose low..high."""
    if not high > low:
        margin = abs(low) / 10 or 1.0
        low, high = low - margin, high + margin
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def short(value: float) -> str:
    """4 significant digits; thousands and millions as k and M."""
    for factor, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.4g}{letter}"
    return f"{value:.4g}"


def _share(value: float, enclosing: Sequence[float]) -> float:
    return (value - enclosing[0]) / ((enclosing[-1] - enclosing[0]) or 1)
