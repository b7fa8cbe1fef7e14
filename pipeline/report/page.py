"""The HTML of a run's report; `report` has the data that goes in."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from pipeline.report.charts import Curves, line_chart
from pipeline.report.contents import Figure, ReportData, flat_params
from pipeline.report.dag import dag, duration, web
from pipeline.report.headline import headline_cards
from pipeline.report.score_html import published_table, score_table

STYLE = Path(__file__).with_name("page.css")


def run_page(data: ReportData) -> str:
    """The page of one run."""
    sections = [
        headline_cards(data),
        *_figure_sections(data.figures),
        score_table(data),
        published_table(data),
        training_curves(data.curves),
        stage_drawing(data),
        exact_params(data),
    ]
    return document(data.title, _header(data), sections)


def picture(figure: Figure, title: str = "") -> str:
    """A figure element with the picture inside it as base64."""
    source = f"data:image/png;base64,{base64.b64encode(png(figure)).decode()}"
    caption = f'<span class="dim">{escape(figure.caption)}</span>' if figure.caption else ""
    return (
        f'<figure><img src="{source}" alt="{escape(figure.alt, quote=True)}">'
        f"<figcaption><b>{escape(title or figure.title)}</b> {caption}</figcaption></figure>"
    )


def png(figure: Figure) -> bytes:
    """A figure's picture as the content of a PNG file."""
    if isinstance(figure.image, Path):
        return figure.image.read_bytes()
    buffer = io.BytesIO()
    figure.image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def section(title: str, body: str) -> str:
    """A titled section, or nothing where there is no body."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if body else ""


def document(title: str, header: str, sections: Sequence[str]) -> str:
    """A whole page that loads nothing."""
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
        f"<title>{escape(title)}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main><header>{header}</header>{''.join(filter(None, sections))}"
        f'<footer class="dim">Written {made} by sgan-pipeline. This file needs no network.</footer>'
        "</main></body></html>\n"
    )


def _header(data: ReportData) -> str:
    facts = {**data.facts, "revision": data.revision}
    items = "".join(f"<li>{escape(k)} <b>{escape(v)}</b></li>" for k, v in facts.items())
    summary = f'<p class="lead">{escape(data.summary)}</p>' if data.summary else ""
    return f'<h1>{escape(data.title)}</h1>{summary}<ul class="facts">{items}</ul>'


def _figure_sections(figures: Sequence[Figure]) -> list[str]:
    titles = list(dict.fromkeys(figure.section for figure in figures))
    return [
        section(
            title,
            '<div class="figures">'
            + "".join(picture(figure) for figure in figures if figure.section == title)
            + "</div>",
        )
        for title in titles
    ]


def training_curves(curves: Sequence[Curves]) -> str:
    """Charts, the top level first."""
    levels = sorted({-1 if c.level is None else c.level for c in curves}, reverse=True)
    body = ""
    for level in levels:
        title = "" if level < 0 else f"<h3>Level {level}</h3>"
        charts = "".join(
            f'<div class="card"><h4>{escape(c.title)}</h4>{line_chart(c)}'
            f"{f'<p class=dim>{escape(c.y_label)}</p>' if c.y_label else ''}</div>"
            for c in curves
            if (-1 if c.level is None else c.level) == level
        )
        body += f'{title}<div class="charts">{charts}</div>'
    return section("Training curves", body)


def stage_drawing(data: ReportData) -> str:
    """The DAG, what was reused from where, and what the links need."""
    if not data.stages:
        return ""
    total = sum(fact.seconds or 0 for fact in data.stages if not fact.part_of)
    said = f"<p>All stages together: <b>{duration(total)}</b>.</p>"
    reused: dict[str, list[str]] = {}
    for fact in data.stages:
        if fact.note:
            reused.setdefault(fact.note, []).append(fact.name)
    for execution, names in reused.items():
        said += (
            f'<p class="dim">{escape(", ".join(names))}: reused from execution '
            f"<code>{escape(execution)}</code>; the time is from there.</p>"
        )
    if data.links_note and any(web(fact.link) for fact in data.stages):
        said += f'<p class="dim">{escape(data.links_note)}</p>'
    return section("The DAG", f'<div class="card">{dag(data.stages)}</div>{said}')


def exact_params(data: ReportData) -> str:
    """All parameters as JSON, folded in."""
    if not data.params:
        return ""
    text = escape(json.dumps(data.params, indent=2, default=str, ensure_ascii=False))
    return section(
        "Exact parameters",
        f"<details><summary>{len(flat_params(data.params))} parameters</summary>"
        f"<pre>{text}</pre></details>",
    )
