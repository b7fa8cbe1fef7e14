"""evaluate: sample the stack, score it by an independent judge, draw sheets, log the model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import paths
from pipeline.errors import UserError
from pipeline.execution.stage import Stage, opened
from pipeline.parts.progress import console_for
from pipeline.report.facts import Workspace, stage_facts
from pipeline.report.record import Facts, read_scores, write_record
from pipeline.report.sheets import draw_sheets
from pipeline.scores.evaluation import drawn_sets, stack_scores
from pipeline.scores.headline import headline_metrics
from pipeline.scores.means import means
from pipeline.scores.prepared import real_images
from pipeline.scores.score import Score, metrics
from pipeline.scores.shown import Shown
from pipeline.storage.atomic import write_json
from pipeline.tracking.redaction import redact_tree
from pipeline.tracking.uri import links_note

if TYPE_CHECKING:
    from pipeline.tracking.run import StageRun


def main() -> None:
    """Writes metrics/evaluate.json, and into artifacts/evaluate the sheets, the scores and what
    `report` has to know of the run, as JSON. Nothing is drawn here but images of the stack."""
    with opened("evaluate") as stage:
        tags = {"sgan.data_digest": stage.manifest().data_digest}
        with stage.run(None, tags) as run:
            flat = _evaluate(stage, run)
        stage.tracker.finish_parent(stage.lineage, flat, stage.params.images_of_g0)
        print(
            f"evaluate: GAN-test {flat['gan_test']:.2%}, diversity within a class "
            f"{flat['diversity']:.2f} of real, {stage.seconds()} s"
        )


def _evaluate(stage: Stage, run: "StageRun") -> dict[str, float]:
    """All of the stage inside its MLflow run; returns its metrics: every score by its
    key, and the headline by its short names."""
    from sgan.weights import load_stack

    settings, device = stage.params.evaluate, _device(stage)
    real = real_images(stage.path(paths.DATA))
    stack = load_stack(stage.path(paths.STACK_WEIGHTS), device)
    print(f"evaluate: {settings.num_samples:,} samples for each of seeds {settings.seeds}")
    samples = drawn_sets(stack, settings)
    with Shown(console_for(stage.params.runtime.progress)) as told:
        lent = means(stage.storage(), told, device, stage.precision())
        scores = stack_scores(stack, samples, real, settings, lent)
    folder = stage.path(paths.EVALUATE)
    folder.mkdir(parents=True, exist_ok=True)
    draw_sheets(stack, real, samples[0], folder, settings.grid_columns)
    flat = {key.replace("/", "_"): round(v, 6) for key, v in metrics(scores).items()}
    headline = headline_metrics(scores)
    flat |= headline
    write_json(stage.path(paths.metrics_file("evaluate")), headline)
    step = stage.params.images_of_g0
    run.log_metrics([(key, value, step) for key, value in flat.items()])
    record(stage, run, scores)
    run.log_artifacts(folder, "evaluate")
    if settings.log_model:
        stage.tracker.log_model(run, "stack", stage.path(paths.STACK_WEIGHTS))
    return flat


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
    )
    workspace = Workspace(stage.root, tuple(stage.params.levels), lineage, stage.tracker)
    stages = stage_facts(workspace, stage.name, stage.seconds(), run.run_id)
    kept = stage.kept("last_scores.json")  # outside the outputs, which DVC clears
    write_record(stage.path(paths.EVALUATE), scores, _last(kept), stages, facts)
    write_json(kept, [score.as_dict() for score in scores])


def _last(file: Path) -> list[Score]:
    """The scores of the run before this one; [] without one, or from another version."""
    try:
        return read_scores(file)
    except UserError:
        return []


def _device(stage: Stage) -> str:
    from pipeline.parts.device import device_of

    return str(device_of(stage.params.runtime.device))
