"""What the report says of a run: its scores beside the last run's and the paper's, its stages."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import paths
from pipeline.execution.stage import Stage
from pipeline.report.charts import Curves, curve_title
from pipeline.report.contents import Figure, PublishedScore, ReportData
from pipeline.report.facts import stage_facts
from pipeline.scores.headline import headline_keys, inception_score, summary
from pipeline.scores.paper import INCEPTION_SCORES
from pipeline.scores.score import Score
from pipeline.tracking.uri import links_note

if TYPE_CHECKING:
    from pipeline.tracking.run import StageRun

PAPER = tuple(PublishedScore(method, *score) for method, score in INCEPTION_SCORES.items())
PAPER_CAPTION = (
    "Inception Score on CIFAR-10 over 50,000 samples, arXiv 1612.04357, Table 1. Scores of another "
    "judge or data set are not comparable with it"
)
PAPER_DATA = "cifar10"


def build_report(
    stage: Stage, run: StageRun, scores: list[Score], figures: list[Figure]
) -> ReportData:
    """The page's contents, with curves and times from the other stages' outputs."""
    manifest = stage.manifest()
    previous = _previous(stage)
    dirty = " (dirty)" if stage.lineage.git_dirty else ""
    return ReportData(
        title=f"SGAN on {manifest.name}",
        revision=stage.lineage.git_revision[:10] + dirty,
        scores=scores,
        headline=headline_keys(scores),
        summary=summary(scores),
        figures=figures,
        curves=_curves(stage.root),
        stages=stage_facts(stage, run),
        links_note=links_note(stage.tracker.shown_uri),
        params=stage.params.raw,
        facts={
            "data": f"{manifest.name}, {manifest.rows('train'):,} training images",
            "data digest": manifest.data_digest[:16],
            "execution": stage.lineage.name,
        },
        previous=previous,
        **_paper(manifest.name, scores),
    )


def _paper(data: str, scores: list[Score]) -> dict[str, Any]:
    """The paper's table; this run's row is in it where data set and judge are the same."""
    if data != PAPER_DATA:
        said = f"{PAPER_CAPTION}: there is none for {data}, so this run has no row in it."
        return {"published": PAPER, "published_caption": said}
    standard = inception_score(scores)
    first = replace(PAPER[0], key=standard.key if standard else "is_50k")
    said = f"{PAPER_CAPTION}. `evaluate.inception` measures this run's."
    return {"published": (first, *PAPER[1:]), "published_caption": said}


def _previous(stage: Stage) -> list[Score]:
    """The scores of the run before this one, kept beside the storage since DVC clears outputs."""
    kept = stage.kept("last_scores.json")
    try:
        found = [Score.from_dict(values) for values in json.loads(kept.read_text("utf-8"))]
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        found = []
    newest = stage.path(paths.EVALUATE) / "scores.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(newest.read_bytes())
    return found


def _curves(root: Path) -> list[Curves]:
    curves = []
    for path in sorted((root / paths.PLOTS).rglob("*.csv")):
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


def _by_level(names: list[str]) -> dict[int | None, list[str]]:
    groups: dict[int | None, list[str]] = {}
    for name in names:
        groups.setdefault(_level_of(name.split("/")[0]) if "/" in name else None, []).append(name)
    return groups


def _level_of(text: str) -> int | None:
    digits = text.removeprefix("level")
    return int(digits) if text.startswith("level") and digits.isdecimal() else None
