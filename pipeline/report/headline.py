"""What a person should grasp first: two sentences, and a card for each score that matters most."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pipeline.report.contents import ReportData
from pipeline.report.score_html import LEGEND, change_html, difference_html, real_html, value_html
from pipeline.scores.headline import headline_keys, summary, tells
from pipeline.scores.score import Score

__all__ = ["GOALS", "comparison_cards", "gauge", "headline_cards", "headline_keys", "summary"]

GOALS = {"lower": "lower is better", "higher": "higher is better", "near real": "nearer real"}


def headline_cards(data: ReportData) -> str:
    """A card for each headline key: number ± sd, the real images' number, the last run's."""
    by_key = {score.key: score for score in data.scores}
    before = {score.key: score for score in data.previous}
    cards = ""
    for key in data.headline:
        score, last, then = by_key[key], before.get(key), ""
        if last:
            then = f"{escape(data.previous_title)}: {difference_html(score, last)}"
            then = f"<div class=dim>{then}</div>"
        cards += _card(
            score,
            f'<div class="big">{value_html(score)}</div>{gauge(score)}'
            f"<div class=dim>{_beside(score)}</div>{then}",
        )
    return _cards(cards)


def comparison_cards(runs: Sequence[ReportData]) -> str:
    """A card for each headline key with a line and a bar per run."""
    cards = ""
    for key in dict.fromkeys(key for run in runs for key in run.headline):
        found = [(run, next((s for s in run.scores if s.key == key), None)) for run in runs]
        measured = [(run, score) for run, score in found if score and score.value is not None]
        largest = max(max(score.value or 0, score.real or 0) for _, score in measured)
        first = found[0][1]
        lines = ""
        for run, score in measured:
            change = change_html(first, score) if first and score is not first else ""
            lines += (
                f'<div class="row"><span class="who">{escape(run.title)}</span>'
                f"<span>{change} <b>{value_html(score)}</b></span></div>{gauge(score, largest)}"
            )
        real = f'<span class="mark"></span>real images {real_html(measured[0][1])} · '
        goal = GOALS[measured[0][1].better]
        cards += _card(measured[0][1], f"{lines}<div class=dim>{real}{goal}</div>")
    if not cards:
        return ""
    said = f"Differences are from {runs[0].title}. {LEGEND}"
    return _cards(cards, "runs") + f'<p class="dim">{escape(said)}</p>'


def gauge(score: Score, largest: float | None = None) -> str:
    """A bar from 0 to the larger of the score and the real images' value, which a mark shows."""
    if score.value is None or score.real is None:
        return ""
    full = largest or max(score.value, score.real)
    if full <= 0:
        return ""
    value, real = (min(100.0, max(0.0, 100 * v / full)) for v in (score.value, score.real))
    low = " low" if score.better == "lower" else ""
    return (
        f'<div class="gauge{low}" aria-hidden="true"><span style="width:{value:.1f}%"></span>'
        f'<i style="left:{real:.1f}%"></i></div>'
    )


def _card(score: Score, body: str) -> str:
    told = tells(score)
    name = f"<h3>{escape(told)}</h3>" if told else ""
    return f'<div class="card">{name}<div class=dim>{escape(score.name)}</div>{body}</div>'


def _cards(cards: str, kind: str = "") -> str:
    if not cards:
        return ""
    grid = f'<div class="cards {kind}">{cards}</div>'
    return f'<section aria-label="Headline scores">{grid}</section>'


def _beside(score: Score) -> str:
    """The real images' value, and where the score stands to it."""
    goal = GOALS[score.better]
    if score.real is None:
        return goal
    real = f'<span class="mark"></span>real images {real_html(score)}'
    if score.value is None or score.real <= 0:
        return f"{real}<br>{goal}"
    ratio = score.value / score.real
    share = f"{ratio:.2g} times this floor" if score.better == "lower" else f"{ratio:.0%} of that"
    return f"{real}<br>{share} · {goal}"
