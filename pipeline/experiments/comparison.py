"""What is known of an evaluation from its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.report.contents import ReportData
from pipeline.report.figures import figures_in
from pipeline.report.record import SCORES, read_facts, read_scores, read_stages
from pipeline.scores.headline import headline_keys


def scores_file(path: Path) -> Path | None:
    """The scores.json that a path, a folder or a project means; None where there is none."""
    inside = (path, path / SCORES, path / paths.EVALUATE / SCORES)
    return next((file for file in inside if file.is_file()), None)


def from_file(path: Path) -> ReportData:
    """Scores of a file; what evaluate left beside it, as far as it lies there.

    Raises UserError where a file is something else.
    """
    scores = read_scores(path)
    folder = path.resolve().parent
    project = folder.parents[1] if folder.parts[-2:] == paths.EVALUATE.parts else None
    facts = read_facts(folder)
    title = project.name if project is not None else path.stem
    if project is None and path.name == SCORES:
        title = folder.name
    return ReportData(
        title,
        facts.revision if facts else "a file",
        scores,
        headline=headline_keys(scores),
        figures=figures_in(folder),
        stages=read_stages(folder),
        params=facts.params if facts else {},
        links_note=facts.links_note if facts else "",
    )


def nested(params: Mapping[str, str]) -> dict[str, Any]:
    """{"levels.1.lr": "0.5"} -> {"levels": {"1": {"lr": "0.5"}}}."""
    tree: dict[str, Any] = {}
    for key, value in sorted(params.items()):
        *above, last = key.split(".")
        place = tree
        for name in above:
            place = place.setdefault(name, {})
        place[last] = value
    return tree
