"""Line charts as inline SVG whose colours are the page's, so that they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 22, 12, 50
POINTS = 240
COLOURS = 6

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Curves:
    """One chart: series name -> [(x, y), …]. Values that are not finite are left out.

    `level` is the stack's level that the chart is about (0 is the image), None for the whole.
    """

    title: str
    series: Mapping[str, Points]
    x_label: str = "images seen"
    y_label: str = ""
    level: int | None = None


def line_chart(curves: Curves) -> str:
    """An SVG element with axes, ticks, one line per series and an accessible description.

    Returns a sentence in place of the chart where no series has two finite points. Long series are
    averaged over buckets; the y range covers the averaged values.
    """
    series = {name: thin(points) for name, points in curves.series.items()}
    series = {name: points for name, points in series.items() if len(points) > 1}
    if not series:
        return f'<p class="dim">{escape(curves.title)}: no values.</p>'
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    x_ticks, y_ticks = ticks(min(xs), max(xs), 5), ticks(min(ys), max(ys), 5)
    x_low, x_high = min(min(xs), x_ticks[0]), max(max(xs), x_ticks[-1])
    y_low, y_high = min(min(ys), y_ticks[0]), max(max(ys), y_ticks[-1])

    def x_at(x: float) -> float:
        return LEFT + (x - x_low) / ((x_high - x_low) or 1) * (WIDTH - LEFT - RIGHT)

    def y_at(y: float) -> float:
        return HEIGHT - BOTTOM - (y - y_low) / ((y_high - y_low) or 1) * (HEIGHT - TOP - BOTTOM)

    parts = [_axis_y(y, y_at(y)) for y in y_ticks]
    parts += [_axis_x(x, x_at(x)) for x in x_ticks]
    for index, (name, points) in enumerate(series.items()):
        line = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in points)
        parts.append(
            f'<polyline class="line s{index % COLOURS}{" dash" if index >= COLOURS else ""}" '
            f'points="{line}"><title>{escape(name)}: last {points[-1][1]:.4g}</title></polyline>'
        )
    parts.append(
        f'<text class="label" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" '
        f'text-anchor="middle">{escape(curves.x_label)}</text>'
    )
    said = "; ".join(f"{name} ends at {points[-1][1]:.4g}" for name, points in series.items())
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(f"{curves.title}: {said}", quote=True)}">{"".join(parts)}</svg>'
        + _legend(series)
    )


def curve_title(part: str, level: int | None) -> str:
    """A chart's title: "Level 1 alone", "Level 1 together with the others", "encoder"."""
    if level is None:
        return part
    return f"Level {level} {'together with the others' if part == 'joint' else 'alone'}"


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


def _axis_y(value: float, y: float) -> str:
    return (
        f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(value)}</text>'
    )


def _axis_x(value: float, x: float) -> str:
    return (
        f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">'
        f"{short(value)}</text>"
    )


def _legend(series: Mapping[str, Points]) -> str:
    items = "".join(
        f'<li><span class="key k{index % COLOURS}{" dash" if index >= COLOURS else ""}"></span>'
        f"{escape(name)} <b>{points[-1][1]:.4g}</b></li>"
        for index, (name, points) in enumerate(series.items())
    )
    return f'<ul class="legend">{items}</ul>'
