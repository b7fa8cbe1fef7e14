"""The DAG as inline SVG: a box per stage with its time and its MLflow run, arrows between them.

Two drawings of the same: from left to right where there is room, from top to bottom on a phone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from pipeline.report.contents import StageFact

PHONE = 340
BOX, LINE, PAD, GAP, ARROW = 138, 18, 8, 10, 30


@dataclass(frozen=True)
class Box:
    """Where a stage is drawn, in pixels."""

    fact: StageFact
    x: float
    y: float
    width: float
    height: float
    parts: tuple[Box, ...] = ()


def dag(stages: Sequence[StageFact]) -> str:
    """Both drawings; CSS shows the one that fits. Every text in them can be read out and selected.

    Stages that wait for nothing come first; a stage comes one step after the last it waits for.
    """
    said = "; ".join(described(fact) for fact in stages)
    drawings = ""
    for wide in (True, False):
        boxes, width, height = placed(stages, wide)
        body = "".join(_arrows(boxes, wide)) + "".join(map(_box, boxes.values()))
        drawings += (
            f'<svg class="dag {"wide" if wide else "tall"}" viewBox="0 0 {width:g} {height:g}" '
            f'width="{width:g}" role="group" aria-label="{escape(f"DAG: {said}", quote=True)}">'
            f"{body}</svg>"
        )
    return drawings


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


def web(link: str) -> str:
    """A link that may stand in the page: http and https only."""
    return link if link.startswith(("http://", "https://")) else ""


def placed(stages: Sequence[StageFact], wide: bool) -> tuple[dict[str, Box], float, float]:
    """Boxes by stage name, then width and height of the drawing."""
    parts = {
        fact.part_of: [one for one in stages if one.part_of == fact.part_of] for fact in stages
    }
    lines = max((len(_lines(fact)) for fact in stages), default=1)
    high = lines * LINE + 2 * PAD
    steps: dict[int, list[StageFact]] = {}
    for fact, step in _steps([fact for fact in stages if not fact.part_of]):
        steps.setdefault(step, []).append(fact)

    def size(fact: StageFact) -> tuple[float, float]:
        count = len(parts.get(fact.name, ()))
        if not count:
            return BOX, high
        if wide:
            return BOX + 2 * PAD, high + count * (high + GAP)
        return PHONE, 2 * high + GAP

    sizes = {fact.name: size(fact) for facts in steps.values() for fact in facts}
    along = 0 if wide else 1
    across_all = max(sum(sizes[f.name][1 - along] + GAP for f in facts) for facts in steps.values())
    boxes: dict[str, Box] = {}
    at = 1.0
    for _, facts in sorted(steps.items()):
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


def _steps(stages: Sequence[StageFact]) -> list[tuple[StageFact, int]]:
    """Each stage with the length of the longest way to it; needs that are not drawn do not count.

    Raises ValueError for a cycle.
    """
    known: Mapping[str, StageFact] = {fact.name: fact for fact in stages}

    def step(name: str, seen: tuple[str, ...] = ()) -> int:
        if name in seen:
            raise ValueError(f"stages wait for each other: {' -> '.join((*seen, name))}")
        needs = [need for need in known[name].needs if need in known]
        return 1 + max((step(need, (*seen, name)) for need in needs), default=-1)

    return [(fact, step(fact.name)) for fact in stages]


def _lines(fact: StageFact) -> list[tuple[str, str]]:
    """(class, text) of the lines in a box."""
    taken = "-" if fact.seconds is None else duration(fact.seconds)
    lines = [("name", fact.name), ("time", taken)]
    if fact.status:
        lines.append(("said", fact.status))
    return [*lines, ("link", "MLflow run")] if web(fact.link) else lines


def _box(box: Box) -> str:
    middle = box.x + box.width / 2
    rows = "".join(
        f'<text class="{kind}" x="{middle:g}" y="{box.y + PAD + LINE * (i + 0.75):g}">'
        f"{escape(text)}</text>"
        for i, (kind, text) in enumerate(_lines(box.fact))
    )
    drawn = (
        f'<rect class="{"group" if box.parts else "box"}" x="{box.x:g}" y="{box.y:g}" '
        f'width="{box.width:g}" height="{box.height:g}" rx="8"/>{rows}'
    )
    link = web(box.fact.link)
    if link:
        label = escape(f"MLflow run of {described(box.fact)}", quote=True)
        drawn = f'<a href="{escape(link, quote=True)}" aria-label="{label}">{drawn}</a>'
    return drawn + "".join(map(_box, box.parts))


def _arrows(boxes: Mapping[str, Box], wide: bool) -> list[str]:
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
            line = f'<path class="edge" d="M{a:g},{b:g}L{c:g},{d:g}"/>'
            arrows.append(f'{line}<path class="head" d="{head}"/>')
    return arrows
