"""The HTML of the report's sections; `report` has the data that goes in."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from pipeline.evaluation.charts import Curves, line_chart
from pipeline.evaluation.report import Figure, ReportData, StageFact, flat_params
from pipeline.evaluation.score_html import (
    comparison_table,
    headline_cards,
    published_table,
    score_table,
)

STYLE = Path(__file__).with_name("page.css")


def run_page(data: ReportData) -> str:
    """The page of one run."""
    sections = [
        headline_cards(data),
        *_figure_sections(data.figures),
        score_table(data),
        published_table(data),
        _curves(data.curves),
        _stages(data.stages),
        _params(data),
    ]
    return _document(data.title, _header(data), sections)


def comparison_page(runs: Sequence[ReportData]) -> str:
    """The page of several runs, each kind of thing side by side."""
    titles = " · ".join(run.title for run in runs)
    header = f"<h1>Runs compared</h1><p>{escape(titles)}</p>"
    sections = [
        comparison_table(runs),
        _changed_params(runs),
        *_paired_figures(runs),
        _curves(_overlaid(runs)),
        *[_named(run.title, _stages(run.stages) + _params(run)) for run in runs],
    ]
    return _document(f"Compared: {titles}", header, sections)


def picture(figure: Figure, title: str = "") -> str:
    """A figure element with the picture inside it as base64."""
    if isinstance(figure.image, Path):
        data = figure.image.read_bytes()
    else:
        buffer = io.BytesIO()
        figure.image.save(buffer, "PNG", optimize=True)
        data = buffer.getvalue()
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    caption = f'<span class="dim">{escape(figure.caption)}</span>' if figure.caption else ""
    return (
        f'<figure><img src="{source}" alt="{escape(figure.alt, quote=True)}">'
        f"<figcaption><b>{escape(title or figure.title)}</b> {caption}</figcaption></figure>"
    )


def section(title: str, body: str) -> str:
    """A titled section, or nothing where there is no body."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if body else ""


def _document(title: str, header: str, sections: Sequence[str]) -> str:
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
    summary = f"<p>{escape(data.summary)}</p>" if data.summary else ""
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


def _paired_figures(runs: Sequence[ReportData]) -> list[str]:
    """Figures of the same section and title beside each other, named by their run."""
    names = list(dict.fromkeys((f.section, f.title) for run in runs for f in run.figures))
    bodies: dict[str, str] = {}
    for place, title in names:
        found = [
            picture(figure, run.title)
            for run in runs
            for figure in run.figures
            if (figure.section, figure.title) == (place, title)
        ]
        row = f'<h3>{escape(title)}</h3><div class="figures">{"".join(found)}</div>'
        bodies[place] = bodies.get(place, "") + row
    return [section(place, body) for place, body in bodies.items()]


def _overlaid(runs: Sequence[ReportData]) -> list[Curves]:
    """One chart per series, one line per run."""
    found: dict[tuple[str, str], Curves] = {}
    for run in runs:
        for curves in run.curves:
            for name, points in curves.series.items():
                key = (curves.title, name)
                old = found.get(key)
                series = {**(old.series if old else {}), run.title: points}
                title = f"{curves.title}: {name}"
                found[key] = Curves(title, series, curves.x_label, curves.y_label, curves.level)
    return [curves for curves in found.values() if len(curves.series) > 1]


def _curves(curves: Sequence[Curves]) -> str:
    levels = sorted({-1 if c.level is None else c.level for c in curves}, reverse=True)
    body = ""
    for level in levels:
        title = "The whole" if level < 0 else f"Level {level}"
        charts = "".join(
            f'<div class="card"><h4>{escape(c.title)}</h4>{line_chart(c)}'
            f"{f'<p class=dim>{escape(c.y_label)}</p>' if c.y_label else ''}</div>"
            for c in curves
            if (-1 if c.level is None else c.level) == level
        )
        body += f'<h3>{title}</h3><div class="charts">{charts}</div>'
    return section("Training curves", body)


def _stages(stages: Sequence[StageFact]) -> str:
    longest = max((stage.seconds or 0 for stage in stages), default=0) or 1
    items = []
    for stage in stages:
        taken = "" if stage.seconds is None else duration(stage.seconds)
        share = 100 * (stage.seconds or 0) / longest
        needs = f"after {', '.join(stage.needs)}" if stage.needs else "first"
        link = ""
        if stage.link.startswith(("http://", "https://")):
            link = f' · <a href="{escape(stage.link, quote=True)}">MLflow run</a>'
        note = f" · {escape(stage.note)}" if stage.note else ""
        items.append(
            f'<li class="card"><div class="row"><b>{escape(stage.name)}</b>'
            f"<span>{taken}</span></div>"
            f'<div class="bar"><span style="width:{share:.1f}%"></span></div>'
            f'<div class="dim">{escape(needs)} · {escape(stage.status)}{note}{link}</div></li>'
        )
    total = sum(stage.seconds or 0 for stage in stages)
    body = f'<ol class="dag">{"".join(items)}</ol><p class="dim">Sum: {duration(total)}</p>'
    return section("The DAG", body) if stages else ""


def duration(seconds: float) -> str:
    """75 -> "1 min 15 s"; below ten seconds with one decimal."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _params(data: ReportData) -> str:
    if not data.params:
        return ""
    text = escape(json.dumps(data.params, indent=2, default=str, ensure_ascii=False))
    return section(
        "Exact parameters",
        f"<details><summary>{len(flat_params(data.params))} parameters</summary>"
        f"<pre>{text}</pre></details>",
    )


def _changed_params(runs: Sequence[ReportData]) -> str:
    flats: list[Mapping[str, str]] = [
        {**flat_params(run.params), "revision": run.revision} for run in runs
    ]
    keys = sorted({key for flat in flats for key in flat})
    rows = ""
    for key in keys:
        values = [flat.get(key, "absent") for flat in flats]
        if len(set(values)) > 1:
            cells = "".join(f"<td>{escape(value)}</td>" for value in values)
            rows += f'<tr><th scope="row"><code>{escape(key)}</code></th>{cells}</tr>'
    heads = "".join(f'<th scope="col">{escape(run.title)}</th>' for run in runs)
    table = f'<div class="scroll"><table><tr><th scope="col">parameter</th>{heads}</tr>{rows}'
    body = f"{table}</table></div>" if rows else "<p>Parameters and revision are the same.</p>"
    return section("What was changed", body)


def _named(title: str, body: str) -> str:
    return f"<details class=run><summary>{escape(title)}</summary>{body}</details>" if body else ""
