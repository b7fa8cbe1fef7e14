"""A stack that was evaluated becomes a version of the registered model, the challenger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline import paths
from pipeline.execution.stage import Stage, file_sha256
from pipeline.scores.headline import headline_keys, headline_metrics
from pipeline.scores.score import Score
from pipeline.tracking.registry import CHALLENGER, WEIGHTS_TAG, Registry

if TYPE_CHECKING:
    from pipeline.tracking.run import StageRun


def model_name(stage: Stage) -> str:
    """The registered model of the project's data."""
    return f"sgan-{stage.manifest().name}"


def register(stage: Stage, run: StageRun, scores: Sequence[Score]) -> str:
    """Log the stack as a model of the run, and make it the challenger; returns its version.

    Weights that are registered already keep their version. Raises UserError.
    """
    weights = stage.path(paths.STACK_WEIGHTS)
    sha256 = file_sha256(weights)
    registry = Registry(stage.tracker, model_name(stage))
    known = registry.of_weights(sha256)
    if known is not None:
        stage.tracker.log_model(run, "stack", weights)
        registry.challenge(str(known.version))
        return str(known.version)
    tags = {WEIGHTS_TAG: sha256, "sgan.data_digest": stage.manifest().data_digest}
    tags |= {f"sgan.{key}": f"{value:.6g}" for key, value in headline_metrics(scores).items()}
    logged = stage.tracker.log_model(
        run, "stack", weights, registered_name=registry.name, alias=CHALLENGER, tags=tags
    )
    assert logged.version is not None
    registry.describe(logged.version, model_card(stage, scores))
    return logged.version


def model_card(stage: Stage, scores: Sequence[Score]) -> str:
    """What a version is, in Markdown: data, settings, headline scores, and what to beware of."""
    manifest, params = stage.manifest(), stage.params
    rows = [s for s in scores if s.key in headline_keys(scores)]
    channels, height, width = manifest.image_shape
    lines = [
        f"A Stacked GAN of {len(params.levels)} levels for {manifest.name}: {width}x{height}, "
        f"{channels} channel(s), classes {', '.join(manifest.classes[:20])}.",
        "",
        f"Trained on {manifest.rows('train'):,} images (digest {manifest.data_digest[:12]}), "
        f"revision {stage.lineage.git_revision[:10]}, execution {stage.lineage.name}.",
        f"Level 0 saw {params.images_of_g0:,} images.",
        "",
        *(f"- {score.name}: {score.text()}" for score in rows),
        "",
        "Samples are of these classes only, at this size. Diversity below 1 means that samples of "
        "a class differ less than real images do. The licence of the data applies to what is made "
        f"of it: see where {manifest.name} comes from.",
    ]
    return "\n".join(lines)
