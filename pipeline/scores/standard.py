"""The standard scores, on the Inception 2015-12-05 trunk: FID, KID, precision, recall, IS.

Features of real images are computed once and cached by digest, a thousand images at a time, so that
an interrupted evaluation goes on where it was. Where the weights cannot be had,
every row reads "not measured: why" and nothing else stops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.scores.distribution import LABELS, as_scores, compare
from pipeline.scores.feature_cache import cached_arrays
from pipeline.scores.inception import NO_LAST_LAYER, Inception, load_inception
from pipeline.scores.indomain import RealImages, Samples
from pipeline.scores.labels import inception_style_score
from pipeline.scores.score import Score, combine, not_measured, thousands

CHUNK = 1000
SAMPLES = "samples"  # what `told` hears of; the others are the names of the splits
Told = Callable[[str, int, int], None]


def standard_scores(
    samples: Sequence[Samples],
    real: RealImages,
    cache: str | Path,
    *,
    weights: str | None = None,
    precision: str = "float32",
    device: str = "cpu",
    reference: int | None = None,
    neighbours: int = 5,
    told: Told | None = None,
    **protocol: Any,
) -> list[Score]:
    """Scores of equally large sample sets by Inception, each beside the one of N test images.

    reference: the number of training images compared with (the first ones; None: all, which is
    what published FIDs use). Cost on two cores: 14 to 20 images a second in float32, 60 in
    bfloat16 (AMX). `told(what, images done, in all)` reports progress. weights, precision: see
    `load_inception`.
    """
    count = len(samples[0].images)
    try:
        inception = load_inception(weights, device=device, precision=precision)
    except UserError as error:
        return unmeasured(count, str(error))
    told = told or (lambda what, done, total: None)
    found = []
    for index, one in enumerate(samples):

        def heard(what: str, done: int, total: int, before: int = index * count) -> None:
            ours = what == SAMPLES
            told(what, before + done if ours else done, len(samples) * count if ours else total)

        found.append(
            measure(one.images, real, inception, cache, reference, neighbours, heard, **protocol)
        )
    return [
        combine(list(same), seeds=[one.seed for one in samples])
        for same in zip(*found, strict=True)
    ]


def measure(
    images: np.ndarray,
    real: RealImages,
    inception: Inception,
    cache: str | Path,
    reference: int | None = None,
    neighbours: int = 5,
    told: Told | None = None,
    **protocol: Any,
) -> list[Score]:
    """`standard_scores` of one set uint8 [N, H, W, C] with the trunk at hand."""
    told = told or (lambda what, done, total: None)
    reference = min(reference or len(real.train_images), len(real.train_images))
    against = real_features(real.train_images[:reference], "train", real, inception, cache, told)
    held_out = real_features(real.test_images[: len(images)], "test", real, inception, cache, told)
    features = inception.features(images, lambda done, total: told(SAMPLES, done, total))
    floor_key = (
        f"floor-1:{real.digest}:{inception.digest}:{inception.precision}:{reference}:"
        f"{len(held_out)}:{neighbours}"
    )

    def floor() -> dict[str, np.ndarray]:
        figures = compare(held_out, against, neighbours=neighbours)
        return {key: np.array([value]) for key, value in figures.items()}

    floors = cached_arrays(cache, floor_key, floor)
    figures = compare(features, against, neighbours=neighbours)
    scores = as_scores(
        figures,
        inception,
        n_fake=len(images),
        n_real=reference,
        n_floor=len(held_out),
        reference="train",
        neighbours=neighbours,
        **protocol,
    )
    scores = [
        replace(score, real=float(floors[key][0]))
        for key, score in zip(figures, scores, strict=True)
    ]
    return [*scores, _inception_score(features, held_out, inception, protocol)]


def unmeasured(count: int, why: str) -> list[Score]:
    """The rows of `standard_scores` with the reason in place of a value."""
    n = thousands(count)
    rows = [
        not_measured(f"{label} (Inception, {n})", f"{key}_{n}", why)
        for key, (label, _) in LABELS.items()
    ]
    return [*rows, not_measured(f"IS (Inception, {n})", f"is_{n}", why)]


def _inception_score(
    features: np.ndarray, held_out: np.ndarray, inception: Inception, protocol: dict[str, Any]
) -> Score:
    logits, real = inception.logits(features), inception.logits(held_out)
    n = thousands(len(features))
    name, key = f"IS ({inception.name}, {n})", f"is_{n}"
    if logits is None or real is None:
        return not_measured(name, key, NO_LAST_LAYER)
    if min(len(logits), len(real)) < 10:
        return not_measured(name, key, "ten splits need ten images or more")
    ceiling = inception_style_score(real, inception)
    score = inception_style_score(logits, inception, **protocol)
    return replace(score, name=name, key=key, real=ceiling.value, real_sd=ceiling.sd)


def real_features(
    images: np.ndarray,
    split: str,
    real: RealImages,
    inception: Inception,
    cache: str | Path,
    told: Told | None = None,
) -> np.ndarray:
    """float32 [N, 2048] of the first N images of a split, from the cache as far as they are there.

    `told(split, images done, in all)` is called after every batch, and where a part is kept.
    """
    parts = []
    for start in range(0, len(images), CHUNK):
        part = images[start : start + CHUNK]

        def heard(done: int, _: int, before: int = start) -> None:
            if told is not None:
                told(split, before + done, len(images))

        def compute(part: np.ndarray = part, heard: Any = heard) -> dict[str, np.ndarray]:
            return {"features": inception.features(part, heard)}

        key = (
            f"inception-2:{real.digest}:{split}:{start}:{len(part)}:{inception.digest}:"
            f"{inception.precision}"
        )
        parts.append(cached_arrays(cache, key, compute)["features"])
        heard(len(part), len(part))
    return np.concatenate(parts)
