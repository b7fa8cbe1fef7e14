"""What evaluate leaves beside its sheets for whoever draws them: scores, stages, facts as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pipeline.errors import UserError
from pipeline.scores.score import Score
from pipeline.storage.atomic import write_json

Found = TypeVar("Found")

SCORES = "scores.json"
PREVIOUS = "previous_scores.json"
STAGES = "stages.json"
FACTS = "facts.json"


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
class Facts:
    """What was evaluated.

    Attributes:
        data: the data set's name.
        train_images: how many of them the stack was trained on.
        data_digest: SHA-256 (hex) of the data.
        revision: of the code, "(dirty)" behind it where files differed.
        execution: the name under which MLflow and `sgan compare` know it.
        links_note: what it takes to follow the links of the stages.
        params: the whole of params.yaml, credentials hidden.
        found: what prepare found at the data's source, see `Description.as_dict`; {} if unknown.
    """

    data: str
    train_images: int
    data_digest: str
    revision: str
    execution: str
    links_note: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    found: Mapping[str, Any] = field(default_factory=dict)


def write_record(
    folder: Path,
    scores: Sequence[Score],
    previous: Sequence[Score],
    stages: Sequence[StageFact],
    facts: Facts,
) -> None:
    """Write the four files into `folder`, each atomically."""
    write_json(folder / SCORES, [score.as_dict() for score in scores])
    write_json(folder / PREVIOUS, [score.as_dict() for score in previous])
    write_json(folder / STAGES, [asdict(fact) for fact in stages])
    write_json(folder / FACTS, asdict(facts))


def read_scores(file: Path, shown: str = "") -> list[Score]:
    """Scores of a file. Raises UserError, calling it `shown` (default: its path), where there is
    none, or it is something else."""
    shown = shown or str(file)
    try:
        return scores_in(file.read_text(encoding="utf-8"), shown)
    except FileNotFoundError:
        raise UserError(f"{shown} does not exist; run `dvc repro`, which makes it") from None


def scores_in(text: str, shown: str) -> list[Score]:
    """Scores from JSON. Raises UserError, calling it `shown`, where it is something else."""
    try:
        listed = json.loads(text)
        if not isinstance(listed, list):
            raise UserError(f"{shown}: no list of scores; name a scores.json of evaluate")
        return [Score.from_dict(values) for values in listed]
    except (json.JSONDecodeError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{shown}: not the scores of an evaluation ({error})") from error


def read_stages(folder: Path) -> list[StageFact]:
    """The stages, with the runs that made what was evaluated; [] where nothing is recorded.

    Raises UserError for a file that is something else.
    """
    found = _read(folder / STAGES, "stages", lambda facts: [StageFact(**fact) for fact in facts])
    return found or []


def read_facts(folder: Path) -> Facts | None:
    """What was evaluated; None where nothing is recorded.

    Raises UserError for a file that is something else.
    """
    return _read(folder / FACTS, "facts", lambda facts: Facts(**facts))


def _read(file: Path, what: str, make: Callable[[Any], Found]) -> Found | None:
    if not file.is_file():
        return None
    try:
        return make(json.loads(file.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, TypeError) as error:
        raise UserError(f"{file}: not the {what} of an evaluation ({error})") from error
