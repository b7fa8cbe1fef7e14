"""evaluate: sample the stack, score it by an independent judge, draw sheets, log the model."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import paths
from pipeline.errors import UserError
from pipeline.execution.judging import scored
from pipeline.execution.model_card import FILE, model_card
from pipeline.execution.registration import register
from pipeline.execution.stage import Stage, opened
from pipeline.parts.progress import console_for
from pipeline.parts.supplying import data_bundle, file_bundle
from pipeline.report.facts import Workspace, stage_facts
from pipeline.report.record import Facts, read_scores, write_record
from pipeline.scores.headline import headline_metrics
from pipeline.scores.score import Score, metrics
from pipeline.scores.shown import Shown
from pipeline.scores.version import stamped
from pipeline.storage.atomic import write_bytes, write_json
from pipeline.tracking.redaction import redact_tree
from pipeline.tracking.uri import links_note

if TYPE_CHECKING:
    from pipeline.tracking.run import StageRun

_LAST = "last_scores.json"  # outside the outputs, which DVC clears


def main() -> None:
    """Writes metrics/evaluate.json, and into artifacts/evaluate the sheets, the scores, what
    `report` has to know of the run, as JSON, and the model's card. Nothing is drawn here but
    images of the stack."""
    with opened("evaluate") as stage:
        tags = {"sgan.data_digest": stage.manifest().data_digest}
        with stage.run(None, tags) as run:
            flat, scores = _evaluate(stage, run)
        stage.tracker.finish_parent(stage.lineage, flat, stage.params.images_of_g0)
        keep(stage, scores)
        print(
            f"evaluate: GAN-test {flat['gan_test']:.2%}, diversity within a class "
            f"{flat['diversity']:.2f} of real, {stage.seconds()} s"
        )


def _evaluate(stage: Stage, run: "StageRun") -> tuple[dict[str, float], Sequence[Score]]:
    """All of the stage inside its MLflow run; returns its metrics (every score by its key, and the
    headline by its short names) and its scores."""
    settings, folder = stage.params.evaluate, stage.path(paths.EVALUATE)
    folder.mkdir(parents=True, exist_ok=True)
    print(f"evaluate: {settings.num_samples:,} samples for each of seeds {settings.seeds}")
    with Shown(console_for(stage.params.runtime.progress)) as told:
        inputs = {
            "stack": file_bundle(stage.path(paths.STACK_WEIGHTS)),
            "data": data_bundle(stage.path(paths.DATA), ["train", "test"]),
        }
        found = stamped(scored(stage, inputs, folder, told, settings))
    # An address of weights may hold a signature.
    scores = [score.with_protocol(**redact_tree(score.protocol)) for score in found]
    flat = {key.replace("/", "_"): round(v, 6) for key, v in metrics(scores).items()}
    headline = headline_metrics(scores)
    flat |= headline
    write_json(stage.path(paths.metrics_file("evaluate")), headline)
    step = stage.params.images_of_g0
    run.log_metrics([(key, value, step) for key, value in flat.items()])
    record(stage, run, scores)
    write_bytes(folder / FILE, model_card(stage, scores).encode())
    run.log_artifacts(folder, "evaluate")
    if settings.log_model:
        register(stage, run, scores)
    return flat, scores


def record(stage: Stage, run: "StageRun", scores: Sequence[Score]) -> None:
    """Write what is known now and not later: the scores, the last run's, where every output came
    from. Raises UserError where MLflow does not answer."""
    manifest, lineage = stage.manifest(), stage.lineage
    facts = Facts(
        data=manifest.name,
        train_images=manifest.rows("train"),
        data_digest=manifest.data_digest,
        revision=lineage.git_revision[:10] + (" (dirty)" if lineage.git_dirty else ""),
        execution=lineage.name,
        links_note=links_note(stage.tracker.shown_uri),
        params=redact_tree(stage.params.raw),
        found=redact_tree(_found(stage)),
    )
    workspace = Workspace(stage.root, tuple(stage.params.levels), lineage, stage.tracker)
    stages = stage_facts(workspace, stage.name, stage.seconds(), run.run_id)
    last = _last(stage.kept(_LAST))
    write_record(stage.path(paths.EVALUATE), scores, last, stages, facts)


def keep(stage: Stage, scores: Sequence[Score]) -> None:
    """Write the scores as the last run's for the next one. The last thing of all: what fails before
    is run again, and would compare itself with itself."""
    write_json(stage.kept(_LAST), [score.as_dict() for score in scores])


def _found(stage: Stage) -> Mapping[str, Any]:
    """What prepare found at the data's source; {} where its file is gone, or is an older one's."""
    file = stage.path(paths.metrics_file("prepare"))
    try:
        return json.loads(file.read_text(encoding="utf-8")).get("found", {})
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def _last(file: Path) -> list[Score]:
    """The scores of the run before this one; [] without one, or from another version."""
    try:
        return read_scores(file)
    except UserError:
        return []
