"""The HTML of several runs side by side: what was changed, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape

from pipeline.experiments.comparison import changed_params
from pipeline.report.charts import Curves
from pipeline.report.contents import ReportData
from pipeline.report.dag import duration, web
from pipeline.report.headline import comparison_cards
from pipeline.report.page import document, exact_params, picture, png, section, training_curves
from pipeline.report.score_html import cell, comparison_table, table


def comparison_page(runs: Sequence[ReportData]) -> str:
    """The page of several runs, each kind of thing side by side."""
    titles = " · ".join(run.title for run in runs)
    rest = " and ".join(run.title for run in runs[1:])
    header = f"<h1>{escape(rest)} compared with {escape(runs[0].title)}</h1>{_runs(runs)}"
    sections = [
        comparison_cards(runs),
        _changed_params(runs),
        *_paired_figures(runs),
        comparison_table(runs),
        training_curves(_overlaid(runs)),
        _times(runs),
        *[_named(f"Parameters of {run.title}", exact_params(run)) for run in runs],
    ]
    return document(f"Compared: {titles}", header, sections)


def _runs(runs: Sequence[ReportData]) -> str:
    items = "".join(
        f"<li>{escape(run.title)} <b>{escape(run.revision)}</b></li>"
        for run in runs
        if run.revision
    )
    return f'<ul class="facts">{items}</ul>'


def _changed_params(runs: Sequence[ReportData]) -> str:
    rows = ""
    for key, values in changed_params(runs):
        cells = "".join(cell(run.title, escape(v)) for run, v in zip(runs, values, strict=True))
        rows += f"<tr><th scope=row><code>{escape(key)}</code></th>{cells}</tr>"
    unknown = [run.title for run in runs if not run.params]
    said = f"<p>No parameters are known of {escape(', '.join(unknown))}.</p>" if unknown else ""
    if len(runs) - len(unknown) > 1 and not rows:
        said += "<p>The parameters are the same.</p>"
    return section(
        "What was changed",
        said + (table("parameter", [run.title for run in runs], rows) if rows else ""),
    )


def _paired_figures(runs: Sequence[ReportData]) -> list[str]:
    """Figures of the same section and title beside each other, named by their run; what is the
    same in all runs (real images) stands there once."""
    names = list(dict.fromkeys((f.section, f.title) for run in runs for f in run.figures))
    bodies: dict[str, str] = {}
    for place, title in names:
        found = {
            run.title: figure
            for run in runs
            for figure in run.figures
            if (figure.section, figure.title) == (place, title)
        }
        pictures = {name: png(figure) for name, figure in found.items()}
        if len(runs) > 1 and len(found) == len(runs) and len(set(pictures.values())) == 1:
            found = {"the same in all runs": next(iter(found.values()))}
        caption = next(iter(found.values())).caption
        row = "".join(picture(replace(one, caption=""), name) for name, one in found.items())
        bodies[place] = bodies.get(place, "") + (
            f'<h3>{escape(title)}</h3><p class="dim">{escape(caption)}</p>'
            f'<div class="figures runs">{row}</div>'
        )
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


def _times(runs: Sequence[ReportData]) -> str:
    """Seconds of every stage and level in each run, linked to its MLflow run."""
    names = list(dict.fromkeys(fact.name for run in runs for fact in run.stages))
    rows = ""
    for name in names:
        cells = ""
        for run in runs:
            fact = next((one for one in run.stages if one.name == name), None)
            taken = "-" if fact is None or fact.seconds is None else duration(fact.seconds)
            link = web(fact.link) if fact else ""
            if link:
                taken = f'<a href="{escape(link, quote=True)}">{taken}</a>'
            status = f" <small class=dim>{escape(fact.status)}</small>" if fact else ""
            cells += cell(run.title, taken + status)
        rows += f"<tr><th scope=row>{escape(name)}</th>{cells}</tr>"
    note = next((run.links_note for run in runs if run.links_note), "")
    said = f'<p class="dim">{escape(note)}</p>' if note else ""
    heads = [run.title for run in runs]
    return section("Time", said + table("stage", heads, rows)) if rows else ""


def _named(title: str, body: str) -> str:
    return f"<details class=run><summary>{escape(title)}</summary>{body}</details>" if body else ""
