"""A stack that was evaluated becomes a version of the registered model, the challenger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline import paths
from pipeline.execution.model_card import model_card
from pipeline.execution.stage import Stage, file_sha256
from pipeline.scores.headline import headline_metrics
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
        if not known.description:  # its registration was cut short
            registry.describe(str(known.version), model_card(stage, scores))
        return str(known.version)
    tags = {WEIGHTS_TAG: sha256, "sgan.data_digest": stage.manifest().data_digest}
    tags |= {f"sgan.{key}": f"{value:.6g}" for key, value in headline_metrics(scores).items()}
    logged = stage.tracker.log_model(
        run, "stack", weights, registered_name=registry.name, alias=CHALLENGER, tags=tags
    )
    assert logged.version is not None
    registry.describe(logged.version, model_card(stage, scores))
    return logged.version
