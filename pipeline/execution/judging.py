"""Scoring a stack on the judge's threads, here or on the cluster, for evaluate and promote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.execution.stage import Stage
from pipeline.report.sheets import draw_sheets
from pipeline.scores.beforehand import do_beforehand
from pipeline.scores.evaluation import drawn_sets, stack_scores
from pipeline.scores.inputs import Told
from pipeline.scores.lent import Means
from pipeline.scores.means import means
from pipeline.scores.prepared import real_images
from pipeline.scores.score import Score
from pipeline.storage.store import Storage

if TYPE_CHECKING:
    from pipeline.cluster.supply import Bundle
    from pipeline.params.settings import EvaluateConfig
    from pipeline.storage.backend import Backend


def scored(
    stage: Stage,
    inputs: Mapping[str, Bundle],
    out: Path,
    told: Told,
    settings: EvaluateConfig,
) -> list[Score]:
    """Scores of the stack `inputs["stack"]` on the data `inputs["data"]`; its sheets come into the
    folder `out`. Raises UserError as `Stage.heavy`."""
    found: list[Score] = stage.heavy(
        judged,
        inputs,
        out,
        kind="judge",
        told=told,
        settings=settings,
        **place(stage),
    )
    return found


def place(stage: Stage) -> dict[str, Any]:
    """Where an evaluation is done, and with what: further arguments of the work below."""
    runtime = stage.params.runtime
    return {
        "device": runtime.device,
        "precision": stage.precision(),
        "storage": stage.reach(),
        "threads": runtime.threads_of("reference"),
    }


def judged(
    inputs: Mapping[str, str],
    out: Path,
    told: Told,
    *,
    settings: EvaluateConfig,
    **where: Any,
) -> list[Score]:
    """The work itself, wherever it is done (`place`): samples the stack, scores it, draws its
    sheets into `out`. Judges and what depends on real images only are kept in `storage`, and
    computed on `threads`."""
    from sgan.weights import load_stack

    real, lent = real_images(inputs["data"]), _lent(told, **where)
    do_beforehand(real, settings, lent)
    stack = load_stack(Path(inputs["stack"]), lent.device)
    samples = drawn_sets(stack, settings, real)
    scores = stack_scores(stack, samples, real, settings, lent)
    draw_sheets(stack, real, samples[0], out, settings.grid_columns)
    return scores


def done_beforehand(
    inputs: Mapping[str, str],
    _: Path,
    told: Told,
    *,
    settings: EvaluateConfig,
    **where: Any,
) -> None:
    """The work itself, in a worker (`place`): all of `judged` that needs no stack."""
    do_beforehand(real_images(inputs["data"]), settings, _lent(told, **where))


def _lent(
    told: Told, *, device: str, precision: str, storage: str | Backend, threads: int
) -> Means:
    from pipeline.parts.device import device_of

    return means(Storage(storage), told, str(device_of(device)), precision, threads=threads)
