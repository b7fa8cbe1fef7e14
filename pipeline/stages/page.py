"""What the report says of a run: its scores beside the last run's and the paper's, its stages."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.evaluation.charts import Curves
from pipeline.evaluation.report import Figure, PublishedScore, ReportData, StageFact
from pipeline.evaluation.scores import Score
from pipeline.stages.common import Stage

HEADLINE = ("gan_test", "diversity_pixels", "diversity_z0_pixels")
PAPER = tuple(
    PublishedScore(method, value, sd)
    for method, value, sd in (
        ("SGAN", 8.59, 0.12),
        ("SGAN, no joint stage", 8.37, 0.08),
        ("AC-GAN", 8.25, None),
        ("Improved GAN", 8.09, None),
        ("one GAN: adversarial, conditional, entropy", 7.16, 0.10),
        ("DCGAN", 6.58, None),
        ("one GAN: adversarial", 6.16, 0.07),
        ("one GAN: adversarial, conditional", 5.40, 0.08),
        ("one GAN: adversarial, entropy", 5.40, 0.16),
        ("real images", 11.24, None),
    )
)
PAPER_CAPTION = (
    "Inception Score on CIFAR-10 over 50,000 samples, arXiv 1612.04357, Table 1. Scores of another "
    "judge or data set are not comparable with it."
)


def build_report(stage: Stage, scores: list[Score], figures: list[Figure]) -> ReportData:
    """The page's contents, with curves and times from the other stages' outputs."""
    manifest = stage.manifest()
    previous = _previous(stage)
    known = {score.key for score in scores}
    dirty = " (dirty)" if stage.lineage.git_dirty else ""
    return ReportData(
        title=f"SGAN on {manifest.name}",
        revision=stage.lineage.git_revision[:10] + dirty,
        scores=scores,
        headline=[key for key in HEADLINE if key in known],
        figures=figures,
        curves=_curves(stage.root),
        stages=_stages(stage),
        params=stage.params.raw,
        facts={
            "data": f"{manifest.name}, {manifest.rows('train'):,} training images",
            "data digest": manifest.data_digest[:16],
            "execution": stage.lineage.name,
        },
        previous=previous,
        published=PAPER,
        published_caption=PAPER_CAPTION,
    )


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
            title = path.stem if level is None else f"{path.stem}, level {level}"
            number = level if level is not None else _level_of(path.stem)
            curves.append(Curves(title, series, level=number))
    return curves


def _by_level(names: list[str]) -> dict[int | None, list[str]]:
    groups: dict[int | None, list[str]] = {}
    for name in names:
        groups.setdefault(_level_of(name.split("/")[0]) if "/" in name else None, []).append(name)
    return groups


def _level_of(text: str) -> int | None:
    digits = text.removeprefix("level")
    return int(digits) if text.startswith("level") and digits.isdecimal() else None


def _stages(stage: Stage) -> list[StageFact]:
    def seconds(name: str, *keys: str) -> float | None:
        try:
            value: Any = json.loads((stage.root / paths.metrics_file(name)).read_text("utf-8"))
            for key in keys:
                value = value[key]
            return float(value)
        except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError):
            return None

    levels = [f"level{i}" for i in sorted(stage.params.levels, reverse=True)]
    return [
        StageFact("prepare", None),
        StageFact("encoder", seconds("encoder", "seconds"), ["prepare"]),
        StageFact("features", None, ["encoder"]),
        *(StageFact(n, seconds("levels", n, "seconds"), ["features"]) for n in levels),
        StageFact("joint", seconds("joint", "seconds"), levels),
        StageFact("evaluate", stage.seconds(), ["joint"]),
    ]
