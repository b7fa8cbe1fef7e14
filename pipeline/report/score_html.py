"""Scores as tables: the value, its spread, the real images' value, the last run's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from pipeline.report.contents import ReportData
from pipeline.scores.score import Score, distance, short, verdict

LEGEND = (
    "≈ is a difference within the spread (twice the joint sd over seeds); ? has no spread to judge "
    "by (evaluate.seeds with several gives one)."
)


def score_table(data: ReportData) -> str:
    """Every score with real against real and the last run; protocol and classes fold out."""
    if not data.scores:
        return ""
    before = {score.key: score for score in data.previous}
    heads = ["this run", "real images", *([data.previous_title] if before else [])]
    rows = ""
    for score in data.scores:
        cells = cell("this run", value_html(score)) + cell("real images", real_html(score))
        if before:
            cells += cell(data.previous_title, difference_html(score, before.get(score.key)))
        rows += f"<tr><th scope=row>{_name(score)}</th>{cells}</tr>"
    legend = f" Beside the last run stands this run's difference from it: {LEGEND}"
    return (
        "<section><h2>All scores</h2><p class=dim>Each beside the same metric for real images, by "
        "the same code: the floor of a distance, the ceiling of an accuracy. Scores of different "
        "judges are never comparable. Tap a score for how it was measured."
        f"{legend if before else ''}</p>{table('score', heads, rows)}</section>"
    )


def published_table(data: ReportData) -> str:
    """The paper's table with this run's row in it, where the same judge scored both."""
    if not data.published:
        return ""
    by_key = {score.key: score for score in data.scores}
    rows = ""
    for key in dict.fromkeys(row.key for row in data.published if row.key):
        ours = by_key.get(key)
        said = value_html(ours) if ours else "not measured in this run"
        if ours and ours.why:
            said += f"<br><small class=dim>{escape(ours.why)}</small>"
        rows += f"<tr class=ours><th scope=row>this run</th><td class=num>{said}</td></tr>"
    for row in data.published:
        value = f"{row.value:.2f}" + (f" ± {row.sd:.2f}" if row.sd is not None else "")
        value = f"<td class=num><span class=whole>{value}</span></td>"
        rows += f"<tr><th scope=row>{escape(row.method)}</th>{value}</tr>"
    found = f'<div class="scroll"><table>{rows}</table></div>'
    if not any(row.key for row in data.published):
        found = (
            f"<details><summary>{len(data.published)} published scores</summary>{found}</details>"
        )
    return (
        "<section><h2>Beside published scores</h2>"
        f"<p class=dim>{escape(data.published_caption)}</p>{found}</section>"
    )


def comparison_table(runs: Sequence[ReportData]) -> str:
    """Scores in rows, runs in columns, with the difference from the first run; the best one is
    marked where it leads beyond the spread."""
    names = {score.key: score for run in runs for score in run.scores}
    rows = ""
    for key, named in names.items():
        found = [next((s for s in run.scores if s.key == key), None) for run in runs]
        best = clear_best(found)
        cells = ""
        for index, score in enumerate(found):
            value = value_html(score) if score else "-"
            if index and score and found[0]:
                value += f"<br>{change_html(found[0], score)}"
            label = " <span class=badge>best</span>" if index == best else ""
            cells += cell(runs[index].title, value + label)
        cells += cell("real images", real_html(named))
        rows += f"<tr><th scope=row>{_name(named)}</th>{cells}</tr>"
    return (
        "<section><h2>All scores</h2><p class=dim>± is the sd over a run's seeds (of IS: over its "
        f"ten splits). Below a value is its difference from {escape(runs[0].title)}: {LEGEND} "
        "“Best” leads all others beyond the spread.</p>"
        f"{table('score', [*(run.title for run in runs), 'real images'], rows)}</section>"
    )


def clear_best(scores: Sequence[Score | None]) -> int | None:
    """Index of the run that leads all others by more than twice the joint sd; None if none does.

    Without any sd, or with judges of different weights, no run leads.
    """
    known = [(i, s) for i, s in enumerate(scores) if s is not None and s.value is not None]
    if len(known) < 2 or len({s.protocol.get("judge_sha256") for _, s in known}) > 1:
        return None
    ordered = sorted(known, key=lambda item: distance(item[1]))
    (index, first), (_, second) = ordered[:2]
    return index if verdict(second, first) == "better" else None


def value_html(score: Score) -> str:
    """A number for people: 3.14 ± 0.02, or "not measured" (`_name` and the table say why)."""
    if score.value is None:
        return "not measured"
    return _with_spread(score.value, score.sd)


def real_html(score: Score) -> str:
    """The same metric for real images, with its spread where there is one; "-" without."""
    if score.real is None:
        return "-"
    return _with_spread(score.real, score.real_sd)


def difference_html(score: Score, before: Score | None) -> str:
    """An earlier run's value, and how far this run's is from it; "-" where one is missing."""
    if before is None or before.value is None or score.value is None:
        return "-"
    return f"{value_html(before)} {change_html(before, score)}"


def table(corner: str, heads: Sequence[str], rows: str) -> str:
    """A table that scrolls sideways where it must, and stacks its cells on a phone."""
    columns = "".join(f"<th scope=col>{escape(head)}</th>" for head in heads)
    return (
        f'<div class="scroll"><table class="stacked"><tr><th scope=col>{escape(corner)}</th>'
        f"{columns}</tr>{rows}</table></div>"
    )


def cell(column: str, content: str) -> str:
    """A number's cell; on a phone the column's name stands inside it."""
    return f'<td class=num data-column="{escape(column, quote=True)}">{content}</td>'


def _with_spread(value: float, sd: float | None) -> str:
    spread = f" <small>± {sd:.2g}</small>" if sd is not None else ""
    return f'<span class="whole">{short(value)}{spread}</span>'


def change_html(before: Score, score: Score) -> str:
    """The difference from an earlier score and what it is worth, coloured: "+0.01 better"."""
    if before.value is None or score.value is None:
        return ""
    said = verdict(before, score)
    if said == "another judge":
        return f"<small class=dim>{said}</small>"
    if score.value == before.value:
        return "<small class=dim>the same</small>"
    kind = {"better": "good", "worse": "bad"}.get(said, "dim")
    return f"<small class={kind}>{score.value - before.value:+.3g} {said}</small>"


def _name(score: Score) -> str:
    facts = "".join(
        f"<li>{escape(str(key))}: <b>{escape(_plain(value))}</b></li>"
        for key, value in score.protocol.items()
    )
    if score.repeats > 1:
        facts += f"<li>sd over: <b>{score.repeats}</b></li>"
    classes = "".join(
        f'<li><span class="who">{escape(name)}</span><span class="bar"><span style="width:'
        f'{100 * max(0.0, value) / (max(score.per_class.values()) or 1):.1f}%"></span></span>'
        f'<span class="num">{short(value)}</span></li>'
        for name, value in score.per_class.items()
    )
    classes = f'<ul class="classes">{classes}</ul>' if classes else ""
    why = f"<small class=dim>{escape(score.why)}</small>" if score.why else ""
    return (
        f"<details><summary>{escape(score.name)}</summary>{classes}"
        f'<ul class="protocol"><li>key: <code>{escape(score.key)}</code></li>{facts}</ul>'
        f"</details>{why}"
    )


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
