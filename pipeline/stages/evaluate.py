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
from pipeline.scores.indomain import RealImages, Samples, in_domain
from pipeline.scores.levelwise import level_scores, noise_diversity, variance_scores
from pipeline.scores.requested import requested_judge, requested_lpips, requested_scores
from pipeline.scores.score import Score, combine, metrics
from pipeline.storage.atomic import write_json
from pipeline.tracking.redaction import redact_tree
from pipeline.tracking.uri import links_note

if TYPE_CHECKING:
    from pipeline.tracking.run import StageRun
    from sgan.stack import Stack

_LEVEL_IMAGES = 2000


def run() -> None:
    """Writes metrics/evaluate.json, and into artifacts/evaluate the sheets, the scores and what
    `report` has to know of the run, as JSON. Nothing is drawn here but images of the stack."""
    with opened("evaluate") as stage:
        tags = {"sgan.data_digest": stage.manifest().data_digest}
        with stage.run(None, tags) as run:
            flat = _evaluate(stage, run)
        stage.tracker.finish_parent(stage.lineage, flat, stage.params.joint.total_images)
        print(
            f"evaluate: GAN-test {flat['gan_test']:.2%}, diversity within a class "
            f"{flat['diversity_pixels']:.2f} of real, {stage.seconds()} s"
        )


def _evaluate(stage: Stage, run: "StageRun") -> dict[str, float]:
    """All of the stage inside its MLflow run; returns the scores as flat metrics."""
    from sgan.weights import load_stack

    settings = stage.params.evaluate
    real = real_images(stage)
    stack = load_stack(stage.path(paths.STACK_WEIGHTS), _device(stage))
    set_batch_norm(stack, settings.batch_norm)
    print(f"evaluate: {settings.num_samples:,} samples for each of seeds {settings.seeds}")
    samples = [draw(stack, settings.num_samples, seed) for seed in settings.seeds]
    scores = all_scores(stage, stack, real, samples)
    folder = stage.path(paths.EVALUATE)
    folder.mkdir(parents=True, exist_ok=True)
    draw_sheets(stack, real, samples[0], folder, settings.grid_columns)
    flat = {key.replace("/", "_"): round(v, 6) for key, v in metrics(scores).items()}
    write_json(stage.path(paths.metrics_file("evaluate")), flat)
    step = stage.params.joint.total_images
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


def all_scores(
    stage: Stage, stack: "Stack", real: RealImages, samples: Sequence[Samples]
) -> list[Score]:
    """Every score of the sample sets and of the stack itself, mean ± sd over the seeds."""
    settings, device = stage.params.evaluate, _device(stage)
    console = console_for(stage.params.runtime.progress)
    judge = requested_judge(settings, real, stage.kept("judge"), device=device, console=console)
    lpips, missing = requested_lpips(settings, device)
    found = in_domain(
        samples,
        real,
        judge,
        stage.kept("features"),
        neighbours=settings.neighbours,
        memory_images=settings.memory_images,
        lpips=lpips,
        told=lambda what, share: print(f"evaluate: {what} ({share:.0%})", flush=True),
    )
    print("evaluate: the levels, one by one", flush=True)
    studies = [
        [
            *noise_diversity(stack, judge, found.real_diversity, seed),
            *variance_scores(stack, real, seed),
            *level_scores(stack, real, judge, _LEVEL_IMAGES, seed),
        ]
        for seed in settings.seeds
    ]
    of_stack = [combine(list(same), seeds=settings.seeds) for same in zip(*studies, strict=True)]
    asked = requested_scores(
        samples,
        real,
        settings,
        stage.kept("features"),
        device=device,
        console=console,
    )
    facts = {"batch_norm": settings.batch_norm, "ema": averaging(stack)}
    return [score.with_protocol(**facts) for score in (*found.scores, *missing, *of_stack, *asked)]


def averaging(stack: "Stack") -> str:
    """Which generators are moving averages of their weights: "none", or "level 0 (half-life …)"."""
    averaged = [
        f"level {i} (half-life {config.ema_half_life_images:,} images)"
        for i, config in stack.level_configs().items()
        if config.ema_half_life_images
    ]
    return ", ".join(averaged) or "none"


def real_images(stage: Stage) -> RealImages:
    """Both splits of the prepared data."""
    from pipeline.data import shards

    manifest = stage.manifest()
    folder = stage.path(paths.DATA)
    train, test = shards.read_split(folder, "train"), shards.read_split(folder, "test")
    return RealImages(*train, *test, manifest.classes, manifest.data_digest)


def draw(stack: "Stack", count: int, seed: int) -> Samples:
    """`count` samples, classes in turn."""
    import torch

    device = stack.encoder.mean_image.device
    y = torch.arange(count) % stack.config.image.num_classes
    generator = torch.Generator(device).manual_seed(seed)
    images = stack.sample_uint8(y.to(device), generator=generator)
    return Samples(images.cpu().numpy(), y.numpy(), seed)


def set_batch_norm(stack: "Stack", mode: str) -> None:
    """Sample with the running statistics, or with each batch's own as the authors' code does."""
    if mode == "batch":
        for i in stack.active:
            stack.level(i).generator.train()


def _device(stage: Stage) -> str:
    from pipeline.parts.device import device_of

    return str(device_of(stage.params.runtime.device))
