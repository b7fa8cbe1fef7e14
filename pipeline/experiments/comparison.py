"""Runs of the pipeline beside each other: their scores and pictures, and what differs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.errors import UserError
from pipeline.report.contents import STAGES, ReportData, StageFact, flat_params
from pipeline.report.figures import figures_in
from pipeline.scores.headline import headline_keys
from pipeline.scores.score import Score

SCORES = "scores.json"
_NOT_SETTINGS = ("runtime.",)


def scores_file(path: Path) -> Path | None:
    """The scores.json that a path, a folder or a project means; None where there is none."""
    inside = (path, path / SCORES, path / paths.EVALUATE / SCORES)
    return next((file for file in inside if file.is_file()), None)


def from_file(path: Path) -> ReportData:
    """Scores of a file; parameters and pictures as far as they lie beside it."""
    scores = read_scores(path.read_text(encoding="utf-8"), str(path))
    folder = path.resolve().parent
    project = folder.parents[1] if folder.parts[-2:] == paths.EVALUATE.parts else None
    params = _locked_params(project / "dvc.lock") if project is not None else {}
    title = project.name if project is not None else path.stem
    if project is None and path.name == SCORES:
        title = folder.name
    return ReportData(
        title,
        "a file",
        scores,
        headline=headline_keys(scores),
        figures=figures_in(folder),
        stages=recorded_stages(folder),
        params=params,
    )


def recorded_stages(folder: Path) -> list[StageFact]:
    """The stages as evaluate recorded them, with the runs that made what it evaluated.

    [] where an older version did not. Raises UserError for a file that is something else.
    """
    file = folder / STAGES
    if not file.is_file():
        return []
    try:
        return [StageFact(**fact) for fact in json.loads(file.read_text(encoding="utf-8"))]
    except (json.JSONDecodeError, TypeError) as error:
        raise UserError(f"{file}: not the stages of an evaluation ({error})") from error


def _locked_params(lock: Path) -> dict[str, Any]:
    """The parameters that the stages ran with; params.yaml may have been edited since."""
    import yaml

    if not lock.is_file():
        return {}
    stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages") or {}
    found: dict[str, Any] = {}
    for stage in stages.values():
        for key, value in (stage.get("params") or {}).get(str(paths.PARAMS), {}).items():
            if isinstance(value, dict):
                found[key] = value
    return found


def read_scores(text: str, shown: str) -> list[Score]:
    """Scores from JSON; those of an older version lack the fields that say what they are.

    Raises UserError, calling it `shown`, where it is something else.
    """
    try:
        listed = json.loads(text)
        if not isinstance(listed, list):
            raise UserError(f"{shown}: no list of scores; name a scores.json of evaluate")
        return [Score.from_dict(values) for values in listed]
    except (json.JSONDecodeError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{shown}: not the scores of an evaluation ({error})") from error


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


def changed_params(runs: Sequence[ReportData]) -> list[tuple[str, list[str]]]:
    """(name, value in each run) of the parameters that are not the same in all of them."""
    flats = [{k: _plain(v) for k, v in flat_params(run.params).items()} for run in runs]
    known = [flat for flat in flats if flat]
    keys = sorted({key for flat in known for key in flat if not key.startswith(_NOT_SETTINGS)})
    rows = [(key, [flat.get(key, "-") for flat in flats]) for key in keys]
    return [(key, values) for key, values in rows if len({f.get(key) for f in known}) > 1]


def _plain(text: str) -> str:
    """A value alike from YAML (None, True) and from MLflow (null, true)."""
    return {"None": "null", "True": "true", "False": "false"}.get(text, text).replace("'", '"')
