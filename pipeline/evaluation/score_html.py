"""Scores as cards and tables: the value, its spread, the real images' value, the last run's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from math import sqrt

from pipeline.evaluation.report import ReportData
from pipeline.evaluation.scores import Score, short

GOALS = {"lower": "lower is better", "higher": "higher is better", "near real": "nearer real"}


def headline_cards(data: ReportData) -> str:
    """A card for each headline key: number ± sd, the real images' number, the last run's."""
    if not data.headline:
        return ""
    by_key = {score.key: score for score in data.scores}
    before = {score.key: score for score in data.previous}
    cards = "".join(
        _card(by_key[key], before.get(key), data.previous_title) for key in data.headline
    )
    return f'<section aria-label="Headline scores"><div class="cards">{cards}</div></section>'


def score_table(data: ReportData) -> str:
    """Every score with real against real and the last run; protocol and classes fold out."""
    if not data.scores:
        return ""
    before = {score.key: score for score in data.previous}
    head = "<tr><th scope=col>score</th><th scope=col>this run</th><th scope=col>real images</th>"
    if before:
        head += f"<th scope=col>{escape(data.previous_title)}</th>"
    rows = ""
    for score in data.scores:
        cells = _cell("this run", value_html(score)) + _cell("real images", _real(score))
        if before:
            cells += _cell(data.previous_title, _against(score, before.get(score.key)))
        rows += f"<tr><th scope=row>{_name(score)}</th>{cells}</tr>"
    return (
        "<section><h2>All scores</h2><p class=dim>Each beside the same metric for real images, by "
        "the same code: the floor of a distance, the ceiling of an accuracy. Scores of different "
        "judges are never comparable. Tap a score for how it was measured.</p>"
        f'<div class="scroll"><table class="stacked">{head}</tr>{rows}</table></div></section>'
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
        value = f"{row.value:g}" + (f" ± {row.sd:g}" if row.sd is not None else "")
        rows += f"<tr><th scope=row>{escape(row.method)}</th><td class=num>{value}</td></tr>"
    return (
        "<section><h2>Beside published scores</h2>"
        f"<p class=dim>{escape(data.published_caption)}</p>"
        f'<div class="scroll"><table>{rows}</table></div></section>'
    )


def comparison_table(runs: Sequence[ReportData]) -> str:
    """Scores in rows, runs in columns; the best one is marked where it leads beyond the spread."""
    names = {score.key: score for run in runs for score in run.scores}
    heads = "".join(f"<th scope=col>{escape(run.title)}</th>" for run in runs)
    rows = ""
    for key, named in names.items():
        found = [next((s for s in run.scores if s.key == key), None) for run in runs]
        best = clear_best(found)
        cells = ""
        for index, score in enumerate(found):
            value = value_html(score) if score else "-"
            label = " <span class=badge>best</span>" if index == best else ""
            cells += _cell(runs[index].title, value + label)
        cells += _cell("real images", _real(named))
        rows += f"<tr><th scope=row>{_name(named)}</th>{cells}</tr>"
    return (
        "<section><h2>Scores</h2><p class=dim>Mean ± sd. “Best” is marked only where the lead is "
        "larger than twice the joint spread.</p>"
        f'<div class="scroll"><table class="stacked"><tr><th scope=col>score</th>{heads}'
        f"<th scope=col>real images</th></tr>{rows}</table></div></section>"
    )


def clear_best(scores: Sequence[Score | None]) -> int | None:
    """Index of the run that leads all others by more than twice the joint sd; None if none does.

    Without any sd, or with judges of different weights, no run leads.
    """
    known = [(i, s) for i, s in enumerate(scores) if s is not None and s.value is not None]
    if len(known) < 2 or len({s.protocol.get("judge_sha256") for _, s in known}) > 1:
        return None
    ordered = sorted(known, key=lambda item: _rank(item[1]))
    (index, first), (_, second) = ordered[:2]
    lead = _rank(second) - _rank(first)
    return index if lead > 0 and not within_spread(first, second) else None


def within_spread(a: Score, b: Score) -> bool:
    """Whether two values differ by no more than twice sqrt(sd_a^2 + sd_b^2); True without sds."""
    if a.value is None or b.value is None or (a.sd is None and b.sd is None):
        return True
    return abs(a.value - b.value) <= 2 * sqrt((a.sd or 0) ** 2 + (b.sd or 0) ** 2)


def value_html(score: Score) -> str:
    """A number for people: 3.14 ± 0.02, or "not measured" (`_name` and the table say why)."""
    if score.value is None:
        return "not measured"
    spread = f" <small>± {short(score.sd)}</small>" if score.sd is not None else ""
    return f"{short(score.value)}{spread}"


def _cell(column: str, content: str) -> str:
    """A number's cell; on a phone the column's name stands inside it."""
    return f'<td class=num data-column="{escape(column, quote=True)}">{content}</td>'


def _rank(score: Score) -> float:
    """Smaller is better."""
    value = score.value or 0.0
    if score.better == "near real":
        return abs(value - (1.0 if score.real is None else score.real))
    return value if score.better == "lower" else -value


def _real(score: Score) -> str:
    if score.real is None:
        return "-"
    spread = f" <small>± {short(score.real_sd)}</small>" if score.real_sd is not None else ""
    return f"{short(score.real)}{spread}"


def _against(score: Score, before: Score | None) -> str:
    if before is None or before.value is None or score.value is None:
        return "-"
    if score.protocol.get("judge_sha256") != before.protocol.get("judge_sha256"):
        return f"{short(before.value)} <small class=dim>another judge</small>"
    gain = _rank(before) - _rank(score)
    if within_spread(score, before):
        word, kind = "≈", "dim"
    else:
        word, kind = ("better", "good") if gain > 0 else ("worse", "bad")
    change = f"{score.value - before.value:+.3g}"
    return f"{short(before.value)} <small class={kind}>{change} {word}</small>"


def _card(score: Score, before: Score | None, before_title: str) -> str:
    real = f"<div class=dim>real images: {_real(score)}</div>" if score.real is not None else ""
    last = (
        f"<div class=dim>{escape(before_title)}: {_against(score, before)}</div>" if before else ""
    )
    return (
        f'<div class="card"><div class=dim>{escape(score.name)}</div>'
        f'<div class="big">{value_html(score)}</div>{real}{last}'
        f"<div class=dim>{GOALS[score.better]}</div></div>"
    )


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
