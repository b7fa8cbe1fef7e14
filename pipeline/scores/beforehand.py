"""What an evaluation needs of the real images alone, done before there are any samples.

The judge's training, features, floors and ceilings: half of a first evaluation's time, and none of
it depends on the stack. `evaluation` asks for the same pieces by the same names, so it finds what
was kept here, and computes what was not.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import UserError
from pipeline.scores import evaluation
from pipeline.scores.cas import cas_ceiling
from pipeline.scores.diversity import kept_reference
from pipeline.scores.feature_cache import is_kept
from pipeline.scores.indomain import spaces
from pipeline.scores.inputs import RealImages, Sets
from pipeline.scores.lent import Means
from pipeline.scores.memory import usual_distances, usual_gap
from pipeline.scores.ndb import real_bins
from pipeline.scores.protocol import real_side
from pipeline.threads import at_once

if TYPE_CHECKING:
    from pipeline.params.settings import EvaluateConfig
    from pipeline.storage.store import Storage


def do_beforehand(real: RealImages, settings: EvaluateConfig, means: Means) -> None:
    """Compute and keep what is not kept yet. Raises UserError as `evaluation.judge_for`."""
    name = _name(real.identity, settings, means.precision)
    means.kept(evaluation.__name__, name, lambda: _each(real, settings, means))


def is_done(storage: Storage, identity: str, settings: EvaluateConfig, precision: str) -> bool:
    """Whether `do_beforehand` came to its end, for images of this `RealImages.identity`."""
    return is_kept(storage, evaluation.__name__, _name(identity, settings, precision))


def _name(identity: str, settings: EvaluateConfig, precision: str) -> str:
    shown = {"batch_norm": "running", "grid_columns": 1, "log_model": False}
    return f"beforehand:{replace(settings, **shown)}:{precision}:{identity}"  # type: ignore[arg-type]


def _each(real: RealImages, settings: EvaluateConfig, means: Means) -> dict[str, np.ndarray]:
    kept, told = means.kept, means.told
    sets = Sets(settings.num_samples, settings.seeds)
    judge = evaluation.judge_for(real, settings, means)
    how = {"neighbours": settings.neighbours, "told": told}
    seen = real_side(sets, real, judge, kept, **how)  # type: ignore[arg-type]
    some = replace(sets, seeds=sets.seeds[: settings.study_seeds])
    ceiling = partial(cas_ceiling, some, real, settings, means)
    # On a thread of its own, where there is a core for it; not beside the floors, which seed torch.
    with ThreadPoolExecutor(1) as beside:
        early = (
            beside.submit(copy_context().run, ceiling) if settings.cas and at_once() > 1 else None
        )
        told("bins of real images", 0, 0)
        real_bins(sets, real, kept)
        told("diversity of real images", 0, 0)
        kept_reference(real, judge, kept, evaluation.lpips_for(settings, means)[0])
        told("nearest neighbours of real images", 0, 0)
        count = min(settings.memory_images, sets.count)
        for space in spaces(real, judge, seen):
            usual_distances(count, space, kept)
            with suppress(UserError):  # too few images for it, which the evaluation tells
                usual_gap(count, space, kept)
        if early is not None:
            early.result()
        elif settings.cas:
            ceiling()
    if settings.inception:
        with suppress(UserError):  # no weights, likewise
            trunk = evaluation.inception_for(settings, means)
            real_side(sets, real, trunk, kept, **evaluation.published(settings, means))
    return {"done": np.ones(1)}
