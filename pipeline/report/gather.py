"""What the report says of a run, from what evaluate left and from the plots of the stages."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.errors import UserError
from pipeline.report.contents import Curves, PublishedScore, ReportData, curve_title
from pipeline.report.figures import figures_in
from pipeline.report.record import PREVIOUS, SCORES, Facts, read_facts, read_scores, read_stages
from pipeline.scores.headline import headline_keys, inception_score, summary
from pipeline.scores.paper import INCEPTION_SCORES
from pipeline.scores.score import Score

PAPER = tuple(PublishedScore(method, *score) for method, score in INCEPTION_SCORES.items())
PAPER_CAPTION = (
    "Inception Score on CIFAR-10 over 50,000 samples, arXiv 1612.04357, Table 1. Scores of another "
    "judge or data set are not comparable with it"
)
PAPER_DATA = "cifar10"


def evaluated(root: Path) -> Facts:
    """What was evaluated in the project `root`. Raises UserError where nothing was."""
    facts = read_facts(root / paths.EVALUATE)
    if facts is None:
        raise UserError(
            f"{root / paths.EVALUATE}: nothing was evaluated yet; run `dvc repro`, which does it"
        )
    return facts


def build_report(root: Path, facts: Facts) -> ReportData:
    """The page's contents, all from files of the project `root`.

    Raises UserError where a file is missing or something else.
    """
    folder = root / paths.EVALUATE
    scores = read_scores(folder / SCORES)
    return ReportData(
        title=f"SGAN on {facts.data}",
        revision=facts.revision,
        scores=scores,
        headline=headline_keys(scores),
        summary=summary(scores),
        figures=figures_in(folder),
        curves=curves_in(root / paths.PLOTS),
        stages=read_stages(folder),
        links_note=facts.links_note,
        params=facts.params,
        found=facts.found,
        facts={
            "data": f"{facts.data}, {facts.train_images:,} training images",
            "data digest": facts.data_digest[:16],
            "execution": facts.execution,
        },
        previous=read_scores(folder / PREVIOUS),
        **_paper(facts.data, scores),
    )


def curves_in(folder: Path) -> list[Curves]:
    """A chart for each plot (CSV with a column `images_seen`), those of joint training last."""
    curves = []
    for path in sorted(folder.rglob("*.csv")):
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = [name for name in (rows[0] if rows else {}) if name != "images_seen"]
        for level, group in _by_level(names).items():
            series = {
                name.split("/")[-1]: [
                    (float(row["images_seen"]), float(row[name])) for row in rows if row[name]
                ]
                for name in group
                if name.split("/")[-1] not in ("loss_d", "loss_g")
            }
            number = level if level is not None else _level_of(path.stem)
            curves.append(Curves(curve_title(path.stem, number), series, level=number))
    return sorted(curves, key=lambda one: "together" in one.title)


def _paper(data: str, scores: Sequence[Score]) -> dict[str, Any]:
    """The paper's table; this run's row is in it where data set and judge are the same."""
    if data != PAPER_DATA:
        said = f"{PAPER_CAPTION}: there is none for {data}, so this run has no row in it."
        return {"published": PAPER, "published_caption": said}
    standard = inception_score(scores)
    first = replace(PAPER[0], key=standard.key if standard else "is_50k")
    said = f"{PAPER_CAPTION}. `evaluate.inception` measures this run's."
    return {"published": (first, *PAPER[1:]), "published_caption": said}


def _by_level(names: Sequence[str]) -> dict[int | None, list[str]]:
    groups: dict[int | None, list[str]] = {}
    for name in names:
        groups.setdefault(_level_of(name.split("/")[0]) if "/" in name else None, []).append(name)
    return groups


def _level_of(text: str) -> int | None:
    digits = text.removeprefix("level")
    return int(digits) if text.startswith("level") and digits.isdecimal() else None
