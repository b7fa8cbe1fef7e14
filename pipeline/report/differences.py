"""Several runs beside each other: what was changed, and what of each stands beside what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report.contents import Curves, Figure, ReportData, flat_params
from pipeline.report.pictures import png
from pipeline.report.record import StageFact
from pipeline.scores.score import Score, distance, incomparable, verdict

_NOT_SETTINGS = ("runtime.",)


@dataclass(frozen=True)
class SameFigure:
    """Figures of one section and title, (name shown, figure) for each run that has it."""

    title: str
    caption: str
    figures: Sequence[tuple[str, Figure]]


@dataclass(frozen=True)
class HeadlineCard:
    """A score in several runs: the first run's, if it has it; (title, score) where it was
    measured; the largest number, at which the bars end."""

    first: Score | None
    measured: Sequence[tuple[str, Score]]
    largest: float

    @property
    def shown(self) -> Score:
        """The score that the card is named after."""
        return self.measured[0][1]


def changed_params(runs: Sequence[ReportData]) -> list[tuple[str, list[str]]]:
    """(name, value in each run) of the parameters that are not the same in all of them."""
    flats = [{k: _plain(v) for k, v in flat_params(run.params).items()} for run in runs]
    known = [flat for flat in flats if flat]
    keys = sorted({key for flat in known for key in flat if not key.startswith(_NOT_SETTINGS)})
    rows = [(key, [flat.get(key, "-") for flat in flats]) for key in keys]
    return [(key, values) for key, values in rows if len({f.get(key) for f in known}) > 1]


def same_scores(runs: Sequence[ReportData]) -> list[tuple[Score, list[Score | None]]]:
    """(the score as the last run names it, that of each run) for every key."""
    names = {score.key: score for run in runs for score in run.scores}
    return [(named, [score_of(run, key) for run in runs]) for key, named in names.items()]


def score_of(run: ReportData, key: str) -> Score | None:
    """The run's score of this key, measured or not."""
    return next((score for score in run.scores if score.key == key), None)


def clear_best(scores: Sequence[Score | None]) -> int | None:
    """Index of the run that leads all others by more than twice the joint sd; None if none does.

    Without any sd, or where they were measured by other judges or otherwise, no run leads.
    """
    known = [(i, s) for i, s in enumerate(scores) if s is not None and s.value is not None]
    if len(known) < 2 or any(incomparable(known[0][1], s) for _, s in known[1:]):
        return None
    (index, first), *others = sorted(known, key=lambda item: distance(item[1]))
    return index if all(verdict(other, first) == "better" for _, other in others) else None


def headline_scores(runs: Sequence[ReportData]) -> list[HeadlineCard]:
    """A card for every headline key of any run, as far as it was measured."""
    cards = []
    for key in dict.fromkeys(key for run in runs for key in run.headline):
        found = [(run.title, score_of(run, key)) for run in runs]
        measured = [(title, one) for title, one in found if one and one.value is not None]
        if measured:
            largest = max(max(one.value or 0, one.real or 0) for _, one in measured)
            cards.append(HeadlineCard(found[0][1], measured, largest))
    return cards


def same_figures(runs: Sequence[ReportData]) -> dict[str, list[SameFigure]]:
    """By section, figures of the same title beside each other, named by their run; what is the
    same in all runs (real images) stands there once."""
    sections: dict[str, list[SameFigure]] = {}
    for place, title in dict.fromkeys((f.section, f.title) for run in runs for f in run.figures):
        found = {
            run.title: figure
            for run in runs
            for figure in run.figures
            if (figure.section, figure.title) == (place, title)
        }
        caption = next(iter(found.values())).caption
        if len(found) == len(runs) > 1 and len({png(figure) for figure in found.values()}) == 1:
            found = {"the same in all runs": next(iter(found.values()))}
        sections.setdefault(place, []).append(SameFigure(title, caption, list(found.items())))
    return sections


def same_curves(runs: Sequence[ReportData]) -> list[Curves]:
    """One chart per series that two runs or more have, one line per run."""
    found: dict[tuple[str, str], Curves] = {}
    for run in runs:
        for curves in run.curves:
            for name, points in curves.series.items():
                old = found.get((curves.title, name))
                series = {**(old.series if old else {}), run.title: points}
                title = f"{curves.title}: {name}"
                found[curves.title, name] = Curves(title, series, curves.x_label, curves.level)
    return [curves for curves in found.values() if len(curves.series) > 1]


def same_stages(runs: Sequence[ReportData]) -> list[tuple[str, list[StageFact | None]]]:
    """(name, what each run says of it) of every stage and level."""
    names = dict.fromkeys(fact.name for run in runs for fact in run.stages)
    return [
        (name, [next((one for one in run.stages if one.name == name), None) for run in runs])
        for name in names
    ]


def _plain(text: str) -> str:
    """A value alike from YAML (None, True) and from MLflow (null, true)."""
    return {"None": "null", "True": "true", "False": "false"}.get(text, text).replace("'", '"')
