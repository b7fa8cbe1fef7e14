"""All that decides a stack's scores, from drawing its samples to the last figure.

The import closure of this module is the version of an evaluation. What only moves (caches, weights
from elsewhere, progress) is handed in as `Means`; `pipeline.scores.means` makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.scores.asked import asked
from pipeline.scores.cas import cas, cas_ceiling
from pipeline.scores.cifar10_networks import published_judge
from pipeline.scores.distribution import FIGURES
from pipeline.scores.diversity import RealDiversity
from pipeline.scores.entropy import entropy_scores
from pipeline.scores.inception import Inception
from pipeline.scores.indomain import in_domain
from pipeline.scores.inputs import RealImages, Samples, Sets
from pipeline.scores.judge import Judge, kept_judge
from pipeline.scores.lent import Means
from pipeline.scores.levelwise import AT_ONCE, level_scores, noise_diversity, variance_scores
from pipeline.scores.naming import ALL_Z, not_measured
from pipeline.scores.protocol import Reference, measure
from pipeline.scores.score import Score, combine
from pipeline.scores.similarity import Lpips
from pipeline.threads import side_by_side
from sgan.stack import Stack

if TYPE_CHECKING:
    from pipeline.params.settings import EvaluateConfig

_LEVEL_IMAGES, _ENTROPY_SAMPLES = 2000, 4000  # at most
_DRAWN = 500  # whose noise `Stack.sample_uint8` draws at once


def stack_scores(
    stack: Stack,
    samples: Sequence[Samples],
    real: RealImages,
    settings: EvaluateConfig,
    means: Means,
) -> list[Score]:
    """Every score of the sample sets of `drawn_sets` and of the stack itself, mean ± sd over the
    seeds."""
    judge = judge_for(real, settings, means)
    lpips, missing = lpips_for(settings, means)
    found = in_domain(samples, real, judge, means.kept, lpips=lpips, **_common(settings, means))
    assert found.real_diversity is not None
    of_stack = _studied(stack, samples, real, judge, found.real_diversity, settings, means)
    standard = _standard(samples, real, settings, means)
    facts = {
        "batch_norm": settings.batch_norm,
        "ema": averaging(stack),
        "asked": "classes as often as in training",
    }
    return [s.with_protocol(**facts) for s in (*found.scores, *missing, *of_stack, *standard)]


def _studied(
    stack: Stack,
    samples: Sequence[Samples],
    real: RealImages,
    judge: Judge,
    diversity: RealDiversity,
    settings: EvaluateConfig,
    means: Means,
) -> list[Score]:
    """What is asked of the levels one by one, and CAS; side by side, each on a thread."""
    count, some = settings.num_samples, settings.seeds[: settings.study_seeds]
    images, space = min(_LEVEL_IMAGES, count), {"judge": judge.name, "space": "features"}
    of_levels = partial(level_scores, stack, real, judge, images)
    of_entropy = partial(entropy_scores, stack, count=min(_ENTROPY_SAMPLES, count))
    studies: list[tuple[tuple[int, ...], Callable[[int], list[Score]]]] = [
        (settings.seeds, partial(noise_diversity, stack, judge, diversity)),
        (some, _tried("variance", partial(variance_scores, stack, real))),
        (some, _tried("frechet", of_levels, level=0, given="independent", **space)),
        (some, of_entropy),
    ]
    work: list[Callable[[], list[Score]]] = [partial(cas, samples, real, settings, means)]
    work += [partial(study, seed) for seeds, study in studies for seed in seeds]
    if settings.cas:  # before the threads: it is computed on a number of its own, and kept
        cas_ceiling(Sets(count, some), real, settings, means)
    means.told("the levels, one by one, and CAS", 0, 0)
    of_samples, *done = side_by_side(lambda each: each(), work)
    scores = []
    for seeds, _ in studies:
        each, done = done[: len(seeds)], done[len(seeds) :]
        scores += [combine(list(same), seeds=seeds) for same in zip(*each, strict=True)]
    return scores + of_samples


def _tried(
    metric: str, study: Callable[[int], list[Score]], **place: Any
) -> Callable[[int], list[Score]]:
    """A study whose scores are a row that says why, where the held-out images do not suffice."""

    def scores(seed: int) -> list[Score]:
        try:
            return study(seed)
        except ValueError as error:  # of sgan.metrics: too few images, or none that differ
            return [not_measured(metric, str(error), **place)]

    return scores


def sample_scores(
    samples: Sequence[Samples], real: RealImages, settings: EvaluateConfig, means: Means
) -> list[Score]:
    """Every score of images of any origin; without labels, those that need none."""
    judge = judge_for(real, settings, means)
    labelled = samples[0].labels is not None
    lpips, missing = lpips_for(settings, means) if labelled else (None, [])
    found = in_domain(samples, real, judge, means.kept, lpips=lpips, **_common(settings, means))
    costly = [*cas(samples, real, settings, means), *_standard(samples, real, settings, means)]
    return [*found.scores, *missing, *costly]


def drawn_sets(stack: Stack, settings: EvaluateConfig, real: RealImages) -> list[Samples]:
    """The stack's samples, a set for each seed, classes as often as in `real`'s training images.
    From here on the stack samples as `batch_norm` says."""
    set_batch_norm(stack, settings.batch_norm)
    y = asked(real.frequencies, 0, settings.num_samples)
    return [draw(stack, y, seed) for seed in settings.seeds]


def draw(stack: Stack, labels: np.ndarray, seed: int) -> Samples:
    """A sample for each of `labels`, int64 [N]: `Stack.sample_uint8` of a generator with that
    seed."""
    device = stack.encoder.mean_image.device
    y = torch.from_numpy(labels)
    generator = torch.Generator(device).manual_seed(seed)
    if device.type == "cpu" and not any(part.training for part in stack.modules()):
        images = _side_by_side(stack, y, generator)
    else:
        images = stack.sample_uint8(y.to(device), generator=generator)
    return Samples(images.cpu().numpy(), labels, seed)


def _side_by_side(stack: Stack, y: Tensor, generator: torch.Generator) -> Tensor:
    """The same bits in less time: no image depends on the others of its batch, and the maps of a
    few stay in the processor's cache."""
    z: dict[int, list[Tensor]] = {i: [] for i in stack.active}
    for start in range(0, len(y), _DRAWN):
        for i in sorted(stack.active, reverse=True):
            z[i].append(stack.level(i).draw_z(min(_DRAWN, len(y) - start), generator))
    noise = {i: torch.cat(parts) for i, parts in z.items()}

    def images(start: int) -> Tensor:
        rows = slice(start, start + AT_ONCE)
        return stack.sample_uint8(y[rows], {i: drawn[rows] for i, drawn in noise.items()})

    return torch.cat(list(side_by_side(images, range(0, len(y), AT_ONCE))))


def set_batch_norm(stack: Stack, mode: str) -> None:
    """Sample with the running statistics, or with each batch's own as the authors' code does."""
    if mode == "batch":
        for i in stack.active:
            stack.level(i).generator.train()


def averaging(stack: Stack) -> str:
    """Which generators are moving averages of their weights: "none", or "level 0 (half-life …)"."""
    averaged = [
        f"level {i} (half-life {config.ema_half_life_images:,} images)"
        for i, config in stack.level_configs().items()
        if config.ema_half_life_images
    ]
    return ", ".join(averaged) or "none"


def judge_for(real: RealImages, settings: EvaluateConfig, means: Means) -> Judge:
    """The independent classifier for this data: published, or trained where it is not kept yet.

    Raises UserError where a published one cannot be had.
    """
    if settings.judge != "cnn":
        return published_judge(settings.judge, *means.judge_weights(settings.judge), means.device)
    return kept_judge(
        real,
        means.judges,
        epochs=settings.judge_epochs,
        seed=settings.judge_seed,
        device=means.device,
        precision=means.precision,
        progress=lambda seen, total, loss: means.told("judge", seen, total),
    )


def _common(settings: EvaluateConfig, means: Means) -> dict[str, Any]:
    return {
        "neighbours": settings.neighbours,
        "memory_images": settings.memory_images,
        "told": means.told,
    }


def lpips_for(settings: EvaluateConfig, means: Means) -> tuple[Lpips | None, list[Score]]:
    """LPIPS where the settings ask for it, or the row that says why it is not had."""
    if not settings.lpips:
        return None, []
    try:
        return Lpips(*means.lpips_weights(), means.device), []
    except UserError as error:
        place = {"judge": Lpips.name, "space": "lpips", "varies": ALL_Z}
        return None, [not_measured("diversity", str(error), **place)]


def _standard(
    samples: Sequence[Samples], real: RealImages, settings: EvaluateConfig, means: Means
) -> list[Score]:
    """By Inception where it is asked for, against all training images as published FIDs are, or
    against the first `inception_images`; or rows that say why not.

    Cost on two cores: 14 to 20 images a second.
    """
    if not settings.inception:
        return []
    try:
        trunk = inception_for(settings, means)
    except UserError as error:
        named = {"judge": Inception.name, "n": len(samples[0].images)}
        return [not_measured(metric, str(error), **named) for metric in ("is", *FIGURES)]
    return measure(samples, real, trunk, means.kept, **published(settings, means)).scores


def inception_for(settings: EvaluateConfig, means: Means) -> Inception:
    """The Inception trunk. Raises UserError where its weights cannot be had."""
    state, source = means.inception_weights(settings.inception_weights)
    return Inception(state, source, device=means.device)


def published(settings: EvaluateConfig, means: Means) -> dict[str, Any]:
    """How published scores compare, for `measure`: with all training images, unless fewer are asked
    for."""
    told, neighbours = means.told, settings.neighbours
    reference = Reference(drawn=False, limit=settings.inception_images)
    return {"reference": reference, "neighbours": neighbours, "told": told}
