"""One self-contained HTML page of a run, or of several side by side: no CDN, no script, no font.

It works offline, reads on a phone and follows the reader's light or dark mode.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UserError
from pipeline.report.charts import Curves
from pipeline.scores.score import Score
from pipeline.storage.atomic import write_bytes

if TYPE_CHECKING:
    from PIL import Image


STAGES = "stages.json"


@dataclass(frozen=True)
class Figure:
    """A picture (PIL image or path of a PNG) with what a reader and a screen reader are told.

    `alt` says what is to be seen; it must not be empty. Figures with one `section` stand together
    under it, in the order given.
    """

    title: str
    image: Image.Image | Path
    alt: str
    caption: str = ""
    section: str = "Samples"


@dataclass(frozen=True)
class PublishedScore:
    """A row of a published table: `key` is the Score that may stand beside it (same judge)."""

    method: str
    value: float
    sd: float | None = None
    key: str = ""


@dataclass(frozen=True)
class StageFact:
    """One stage of the DAG, or a part of one: what it waited for, how long it took, its MLflow run.

    needs: names of stages. part_of: the stage that this is a part of, "" for a stage. status: what
    is worth saying, "reused" or "failed". note: the execution that it was reused from. link: an
    http(s) address of the MLflow run `run_id`; "" where there is none.
    """

    name: str
    seconds: float | None
    needs: Sequence[str] = ()
    status: str = ""
    link: str = ""
    note: str = ""
    part_of: str = ""
    run_id: str = ""


@dataclass(frozen=True)
class ReportData:
    """Everything that a page says of one run.

    headline: keys of the scores shown as cards, in order. previous: the scores of the last run, to
    compare with. facts: short lines such as data set, device, budget. links_note: what it takes to
    follow the stages' links. params: nested mapping.
    """

    title: str
    revision: str
    scores: Sequence[Score]
    headline: Sequence[str] = ()
    summary: str = ""
    figures: Sequence[Figure] = ()
    curves: Sequence[Curves] = ()
    stages: Sequence[StageFact] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    previous: Sequence[Score] = ()
    previous_title: str = "last run"
    published: Sequence[PublishedScore] = ()
    published_caption: str = ""
    links_note: str = ""


def write_report(path: str | os.PathLike[str], data: ReportData) -> Path:
    """Write the page of one run, atomically; returns its path.

    Raises UserError for a headline key without a score, a picture without alt text or a picture
    file that cannot be read.
    """
    from pipeline.report.page import run_page

    check(data)
    return _write(Path(path), run_page(data))


def write_comparison(path: str | os.PathLike[str], runs: Sequence[ReportData]) -> Path:
    """Write one page of two or more runs: scores, changed parameters, pictures, curves.

    Raises UserError as `write_report` does, for fewer than two runs, and for equal titles.
    """
    from pipeline.report.comparison_page import comparison_page

    if len(runs) < 2 or len({run.title for run in runs}) < len(runs):
        raise UserError(
            f"compare: needed are two runs or more with different titles, got "
            f"{[run.title for run in runs]}"
        )
    for run in runs:
        check(run)
    return _write(Path(path), comparison_page(runs))


def check(data: ReportData) -> None:
    """Raise UserError where the page would have a hole."""
    keys = {score.key for score in data.scores}
    missing = [key for key in data.headline if key not in keys]
    if missing:
        raise UserError(f"report: headline {missing} names no score; there are {sorted(keys)}")
    for figure in data.figures:
        if not figure.alt.strip():
            raise UserError(f"report: the picture {figure.title!r} has no alt text")
        if isinstance(figure.image, Path) and not figure.image.is_file():
            raise UserError(f"report: the picture {figure.image} does not exist")


def flat_params(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """{"levels": {"1": {"lr": 0.5}}} -> {"levels.1.lr": "0.5"}; lists are written as they are."""
    flat: dict[str, str] = {}
    for key, value in params.items():
        if isinstance(value, Mapping):
            flat.update(flat_params(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat


def _write(path: Path, page: str) -> Path:
    write_bytes(path, page.encode())
    return path
