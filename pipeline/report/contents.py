"""What a page says of a run, before anything is drawn of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UserError
from pipeline.report.record import StageFact
from pipeline.scores.score import Score

if TYPE_CHECKING:
    from PIL import Image

Points = Sequence[tuple[float, float]]


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
class Curves:
    """One chart: series name -> [(x, y), …]. Values that are not finite are left out.

    `level` is the stack's level that the chart is about (0 is the image), None for the whole.
    """

    title: str
    series: Mapping[str, Points]
    x_label: str = "images seen"
    level: int | None = None


@dataclass(frozen=True)
class PublishedScore:
    """A row of a published table: `key` is the Score that may stand beside it (same judge)."""

    method: str
    value: float
    sd: float | None = None
    key: str = ""


@dataclass(frozen=True)
class ReportData:
    """Everything that a page says of one run.

    headline: keys of the scores shown as cards, in order. previous: the scores of the last run, to
    compare with. facts: short lines such as data set, device, budget. links_note: what it takes to
    follow the stages' links. params: nested mapping. found: of the data, see `Facts`.
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
    found: Mapping[str, Any] = field(default_factory=dict)


def curve_title(part: str, level: int | None) -> str:
    """A chart's title: "Level 1 alone", "Level 1 together with the others", "encoder"."""
    if level is None:
        return part
    return f"Level {level} {'together with the others' if part == 'joint' else 'alone'}"


def check(data: ReportData) -> None:
    """Raise UserError where the page would have a hole.

    That is a headline key without a score, a picture without alt text or without its file.
    """
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
