"""From one run to another: a tag that programs follow, and a line of its description that a person
does, relative so that it works wherever MLflow's page is served."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities import Run

NOTE = "mlflow.note.content"
BELOW = "sgan.run."  # + what a run below is called -> its id
TRAINED_BY = "sgan.trained_by"
_HEAD = "Runs of this one:"


def page(experiment_id: str, run_id: str) -> str:
    """A run's address, seen from any of MLflow's pages."""
    return f"#/experiments/{experiment_id}/runs/{run_id}"


def downwards(
    experiment_id: str, known: Mapping[str, str], below: Mapping[str, str]
) -> dict[str, Any]:
    """Tags that link a run to those below it, from the tags that it has.

    A description that a person wrote stays as it is.

    Args:
        experiment_id: of the runs.
        known: the run's tags.
        below: ids of runs, by what they are called.
    """
    found = {name.removeprefix(BELOW): v for name, v in known.items() if name.startswith(BELOW)}
    found |= below
    tags = {f"{BELOW}{name}": run_id for name, run_id in below.items()}
    note = known.get(NOTE, "")
    if note and not note.startswith(_HEAD):
        return tags
    lines = [f"- [{name}]({page(experiment_id, run_id)})" for name, run_id in found.items()]
    return {**tags, NOTE: "\n".join([_HEAD, "", *lines])}


def is_reused(run: "Run") -> bool:
    """Whether a run took its part's result from another that trained it."""
    return run.data.tags.get("sgan.reused") == "true"


def to_maker(experiment_id: str, maker: "Run") -> dict[str, Any]:
    """Tags that link a run whose result was reused to the run that trained it."""
    run_id, execution = maker.info.run_id, maker.data.tags.get("sgan.lineage", "")
    link = f"[{maker.info.run_name}]({page(experiment_id, run_id)})"
    text = f"Reused: {link} of the execution {execution} trained it."
    return {TRAINED_BY: run_id, NOTE: text}
