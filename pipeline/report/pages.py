"""Pages from templates/: one self-contained HTML file of a run, or of several side by side.

No CDN, no script, no font: it works offline, reads on a phone and follows light or dark mode.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.errors import UserError
from pipeline.report import charts, dag, differences, pictures, values
from pipeline.report.budget import budget
from pipeline.report.contents import Curves, ReportData, check, flat_params
from pipeline.scores.headline import tells
from pipeline.scores.score import short
from pipeline.storage.atomic import write_bytes

# What templates may call; all else in them is text and is escaped.
_FUNCTIONS = (
    budget,
    charts.chart,
    dag.box_texts,
    dag.drawings,
    dag.total_seconds,
    differences.changed_params,
    differences.clear_best,
    differences.headline_scores,
    differences.same_curves,
    differences.same_figures,
    differences.same_scores,
    differences.same_stages,
    differences.score_of,
    flat_params,
    pictures.data_uri,
    values.change,
    values.class_bars,
    values.gauge,
    values.protocol_lines,
    values.standing,
    tells,
)


def write_report(path: str | os.PathLike[str], data: ReportData) -> Path:
    """Write the page of one run, atomically; returns its path.

    Raises UserError for a headline key without a score, a picture without alt text or a picture
    file that cannot be read.
    """
    check(data)
    before = {score.key: score for score in data.previous}
    return _write(Path(path), "run", data=data, before=before)


def write_comparison(path: str | os.PathLike[str], runs: Sequence[ReportData]) -> Path:
    """Write one page of two or more runs: scores, changed parameters, pictures, curves.

    Raises UserError as `write_report` does, for fewer than two runs, and for equal titles.
    """
    if len(runs) < 2 or len({run.title for run in runs}) < len(runs):
        raise UserError(
            f"compare: needed are two runs or more with different titles, got "
            f"{[run.title for run in runs]}"
        )
    for run in runs:
        check(run)
    return _write(Path(path), "comparison", runs=list(runs))


@cache
def environment() -> Environment:
    """The templates, which escape everything, and fail where a name is not there."""
    made = Environment(
        loader=PackageLoader("pipeline.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (Path(__file__).parent / "templates" / "page.css").read_text(encoding="utf-8")
    made.globals |= {function.__name__: function for function in _FUNCTIONS}
    made.globals |= {"goals": values.GOALS, "levels_of": _levels_of, "style": Markup(style)}
    made.filters |= {"described": dag.described, "duration": dag.duration}
    made.filters |= {"json": _json, "short": short}
    made.tests["web"] = dag.is_web
    return made


def _write(path: Path, template: str, **contents: Any) -> Path:
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    page = environment().get_template(f"{template}.html.j2").render(made=made, **contents)
    write_bytes(path, page.encode())
    return path


def _levels_of(curves: Sequence[Curves]) -> list[int | None]:
    """The levels that some curves are about, the top one first, then what is about none."""
    levels = {one.level for one in curves}
    return sorted(levels, key=lambda level: -1 if level is None else level, reverse=True)


def _json(tree: Any) -> str:
    return json.dumps(tree, indent=2, default=str, ensure_ascii=False)
