"""What a person should grasp first: two sentences, and a card for each score that matters most."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from pipeline.report.contents import ReportData
from pipeline.report.score_html import LEGEND, change_html, difference_html, real_html, value_html
from pipeline.scores.score import Score

# Pattern of a score's key -> what it tells; of several keys that fit one pattern the first counts.
HEADLINE = {
    r"gan_test": "Drawn as asked",
    r"fid_(?!within)\w+": "Distance from real images",
    r"diversity_pixels": "Variety within a class",
    r"diversity_z0_pixels": "Variety from z_0 alone",
}
GOALS = {"lower": "lower is better", "higher": "higher is better", "near real": "nearer real"}


def headline_keys(scores: Sequence[Score]) -> list[str]:
    """Keys of the measured scores that the top of a page shows, in order."""
    measured = [score.key for score in scores if score.value is not None]
    found = (next((k for k in measured if re.fullmatch(p, k)), None) for p in HEADLINE)
    return [key for key in found if key is not None]


def summary(scores: Sequence[Score]) -> str:
    """How good the run is in two sentences, each beside real images; "" without the scores."""
    known = {score.key: score for score in scores if score.value is not None}
    said = []
    if "gan_test" in known:
        one = known["gan_test"]
        real = f"; of real test images it reads {one.real:.1%} right" if one.real else ""
        said.append(
            f"A classifier that never saw the stack reads {one.value:.1%} of the samples as the "
            f"class asked for{real}."
        )
    if "diversity_pixels" in known:
        text = (
            f"Samples of one class are {known['diversity_pixels'].value:.2f} times as different "
            "from each other as real images are"
        )
        if "diversity_z0_pixels" in known:
            text += f"; with only z_0 drawn anew, {known['diversity_z0_pixels'].value:.2f} times"
        said.append(f"{text}.")
    return " ".join(said)


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
    told = next((t for p, t in HEADLINE.items() if re.fullmatch(p, score.key)), "")
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
