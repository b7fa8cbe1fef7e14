"""evaluate: sample the stack, score it by an independent judge, draw it, log it as a model."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from pipeline import paths
from pipeline.execution.stage import Stage, opened
from pipeline.parts.progress import console_for
from pipeline.report.contents import STAGES, write_report
from pipeline.report.gather import build_report
from pipeline.report.sheets import draw_sheets
from pipeline.scores.evaluation import drawn_sets, stack_scores
from pipeline.scores.headline import headline_metrics
from pipeline.scores.means import means
from pipeline.scores.prepared import real_images
from pipeline.scores.score import metrics
from pipeline.scores.shown import Shown
from pipeline.storage.atomic import write_json

if TYPE_CHECKING:
    from pipeline.tracking.run import StageRun


def run() -> None:
    """Writes metrics/evaluate.json, and pictures, report.html and the JSON of its scores and stages
    into artifacts/evaluate."""
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
        lent = means(stage.kept(""), told, device)
        scores = stack_scores(stack, samples, real, settings, lent)
    folder = stage.path(paths.EVALUATE)
    folder.mkdir(parents=True, exist_ok=True)
    figures = draw_sheets(stack, real, samples[0], folder, settings.grid_columns)
    flat = {key.replace("/", "_"): round(v, 6) for key, v in metrics(scores).items()}
    flat |= headline_metrics(scores)
    write_json(stage.path(paths.metrics_file("evaluate")), headline_metrics(scores))
    write_json(folder / "scores.json", [score.as_dict() for score in scores])
    step = stage.params.images_of_g0
    run.log_metrics([(key, value, step) for key, value in flat.items()])
    report = build_report(stage, run, scores, figures)
    write_json(folder / STAGES, [asdict(fact) for fact in report.stages])
    write_report(folder / "report.html", report)
    run.log_artifacts(folder, "evaluate")
    if settings.log_model:
        stage.tracker.log_model(run, "stack", stage.path(paths.STACK_WEIGHTS))
    return flat


def _device(stage: Stage) -> str:
    from pipeline.parts.tasks import choose_device

    return str(choose_device(stage.params.runtime.device))
