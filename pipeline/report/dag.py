"""The DAG: where a box per stage stands, what it says, and the arrows between. A template draws it.

Two drawings of the same: from left to right where there is room, from top to bottom on a phone.
By hand, since what draws graphs needs either a program of its own (Graphviz) or a script in the
page (Mermaid).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from pipeline.report.record import StageFact

PHONE = 340
BOX, LINE, PAD, GAP, ARROW = 118, 18, 8, 10, 26


@dataclass(frozen=True)
class Box:
    """Where a stage is drawn, in pixels."""

    fact: StageFact
    x: float
    y: float
    width: float
    height: float
    parts: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Drawing:
    """One drawing: its kind (the class that CSS knows it by), size in pixels, boxes and arrows.

    An arrow is its line and its head, as the `d` of two SVG paths.
    """

    kind: str
    width: float
    height: float
    boxes: Sequence[Box]
    arrows: Sequence[tuple[str, str]]


def drawings(stages: Sequence[StageFact]) -> list[Drawing]:
    """Both drawings; CSS shows the one that fits.

    Stages that wait for nothing come first; a stage comes one step after the last it waits for.
    Raises graphlib.CycleError (a ValueError) for stages that wait for each other.
    """
    drawn = []
    for kind in ("wide", "tall"):
        boxes, width, height = placed(stages, kind == "wide")
        drawn.append(
            Drawing(kind, width, height, list(boxes.values()), _arrows(boxes, kind == "wide"))
        )
    return drawn


def described(fact: StageFact) -> str:
    """For a screen reader: "joint, 35.0 s, after levels, reused"."""
    parts = [fact.name]
    if fact.seconds is not None:
        parts.append(duration(fact.seconds))
    if fact.needs:
        parts.append(f"after {' and '.join(fact.needs)}")
    if fact.part_of:
        parts.append(f"part of {fact.part_of}")
    return ", ".join(filter(None, [*parts, fact.status]))


def duration(seconds: float) -> str:
    """75 -> "1 min 15 s"; below ten seconds with one decimal."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def is_web(link: str) -> bool:
    """Whether a link may stand in the page: http and https only."""
    return link.startswith(("http://", "https://"))


def total_seconds(stages: Sequence[StageFact]) -> float:
    """Of all stages; their parts are in theirs."""
    return sum(fact.seconds or 0 for fact in stages if not fact.part_of)


def box_texts(box: Box) -> list[tuple[str, str, float]]:
    """(CSS class, text, y of its baseline) of the lines in a box."""
    lines = _lines(box.fact)
    return [(kind, text, box.y + PAD + LINE * (i + 0.75)) for i, (kind, text) in enumerate(lines)]


def placed(stages: Sequence[StageFact], wide: bool) -> tuple[dict[str, Box], float, float]:
    """Boxes by stage name, then width and height of the drawing."""
    parts = {
        fact.part_of: [one for one in stages if one.part_of == fact.part_of] for fact in stages
    }
    lines = max((len(_lines(fact)) for fact in stages), default=1)
    high = lines * LINE + 2 * PAD
    steps = _steps([fact for fact in stages if not fact.part_of])

    def size(fact: StageFact) -> tuple[float, float]:
        count = len(parts.get(fact.name, ()))
        if not count:
            return BOX, high
        if wide:
            return BOX + 2 * PAD, high + count * (high + GAP)
        return PHONE, 2 * high + GAP

    sizes = {fact.name: size(fact) for facts in steps for fact in facts}
    along = 0 if wide else 1
    across_all = max(sum(sizes[f.name][1 - along] + GAP for f in facts) for facts in steps)
    boxes: dict[str, Box] = {}
    at = 1.0
    for facts in steps:
        deep = max(sizes[fact.name][along] for fact in facts)
        across = 1 + (across_all - sum(sizes[f.name][1 - along] + GAP for f in facts)) / 2
        for fact in facts:
            width, height = sizes[fact.name]
            x, y = (at, across) if wide else (across, at)
            inner = _inside(parts.get(fact.name, ()), x, y, width, high, wide)
            boxes[fact.name] = Box(fact, x, y, width, height, inner)
            across += sizes[fact.name][1 - along] + GAP
        at += deep + ARROW
    length, breadth = at - ARROW + 1, across_all - GAP + 2
    return boxes, *((length, breadth) if wide else (breadth, length))


def _inside(
    parts: Sequence[StageFact], x: float, y: float, width: float, high: float, wide: bool
) -> tuple[Box, ...]:
    """The parts of a stage below its own lines: under each other, or side by side on a phone."""
    if wide:
        step = high + GAP
        return tuple(
            Box(fact, x + PAD, y + high + i * step, width - 2 * PAD, high)
            for i, fact in enumerate(parts)
        )
    each = (width - PAD - GAP) / max(1, len(parts)) - PAD
    return tuple(
        Box(fact, x + (PAD + GAP) / 2 + PAD / 2 + i * (each + PAD), y + high, each, high)
        for i, fact in enumerate(parts)
    )


def _steps(stages: Sequence[StageFact]) -> list[list[StageFact]]:
    """Stages by the length of the longest way to them; needs that are not drawn do not count."""
    known = {fact.name: fact for fact in stages}
    sorter = TopologicalSorter({f.name: [n for n in f.needs if n in known] for f in stages})
    sorter.prepare()
    steps = []
    while sorter.is_active():
        ready = set(sorter.get_ready())
        steps.append([fact for fact in stages if fact.name in ready])
        sorter.done(*ready)
    return steps


def _lines(fact: StageFact) -> list[tuple[str, str]]:
    """(CSS class, text) of the lines in a box."""
    taken = "-" if fact.seconds is None else duration(fact.seconds)
    lines = [("name", fact.name), ("time", taken)]
    if fact.status:
        lines.append(("said", fact.status))
    return [*lines, ("link", "MLflow run")] if is_web(fact.link) else lines


def _arrows(boxes: Mapping[str, Box], wide: bool) -> list[tuple[str, str]]:
    arrows = []
    for box in boxes.values():
        for need in box.fact.needs:
            if need not in boxes:
                continue
            one = boxes[need]
            if wide:
                a, b = one.x + one.width, one.y + one.height / 2
                c, d = box.x, box.y + box.height / 2
                head = f"M{c:g},{d:g}l-8,-5v10z"
            else:
                a, b = one.x + one.width / 2, one.y + one.height
                c, d = box.x + box.width / 2, box.y
                head = f"M{c:g},{d:g}l-5,-8h10z"
            arrows.append((f"M{a:g},{b:g}L{c:g},{d:g}", head))
    return arrows
