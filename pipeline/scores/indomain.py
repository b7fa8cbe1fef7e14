"""What an independent judge of the data says of samples, and what pixels say beside it.

Samples come as one set per seed; each figure is the mean ± sd over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.scores.diversity import RealDiversity, diversity, kept_reference
from pipeline.scores.inputs import Kept, RealImages, Samples, Told, unheard
from pipeline.scores.judge import Judge
from pipeline.scores.memory import Space, memory_scores
from pipeline.scores.ndb import ndb_scores
from pipeline.scores.protocol import Measured, RealSide, measure
from pipeline.scores.score import Score, combine
from pipeline.scores.similarity import Lpips


@dataclass(frozen=True)
class InDomain:
    """What a judge says: the scores, the real reference for further diversity studies (None for
    samples without labels), and the rows of the training images nearest to the first
    `len(nearest_rows)` samples (by features)."""

    scores: list[Score]
    real_diversity: RealDiversity | None
    nearest_rows: np.ndarray


def in_domain(
    samples: Sequence[Samples],
    real: RealImages,
    judge: Judge,
    kept: Kept,
    *,
    neighbours: int = 5,
    memory_images: int = 2000,
    lpips: Lpips | None = None,
    told: Told = unheard,
    **protocol: Any,
) -> InDomain:
    """`pipeline.scores.protocol.measure` by the judge, NDB, diversity and memorisation of one or
    more equally large sample sets. Diversity needs labels and is left out without them.

    The reference of the distances is a random part of the training split, as large as a sample
    set, another one per seed; floors compare the test split with the same parts. `memory_images`
    samples are searched for training neighbours. `lpips` adds LPIPS to the diversity. `protocol`
    says what only the caller knows (ema, batch_norm, …).
    Raises UserError where sets differ in size or do not fit the judge.
    """
    seen = measure(samples, real, judge, kept, neighbours=neighbours, told=told, **protocol)
    told("bins of pixels", 0, 0)
    scores = [*seen.scores, ndb_scores(samples, real, kept, **protocol)]
    reference = None
    if samples[0].labels is not None:
        told("diversity within a class", 0, 0)
        reference = kept_reference(real, judge, kept, lpips)
        found = [
            diversity(one.images, one.labels, judge, reference, seed=one.seed, **protocol)
            for one in samples
            if one.labels is not None
        ]
        seeds = [one.seed for one in samples]
        scores += [combine(list(same), seeds=seeds) for same in zip(*found, strict=True)]
    told("memorisation", 0, 0)
    memory, rows = _memory(samples[0], memory_images, real, judge, seen, kept, protocol)
    return InDomain(scores + memory, reference, rows)


def spaces(real: RealImages, judge: Judge, seen: RealSide) -> tuple[Space, Space]:
    """Where memorisation is looked for: in the judge's features, and in pixels."""
    by_judge = Space(
        "features",
        judge.name,
        f"{judge.identity}:{real.identity}",
        seen.train,
        seen.test,
        judge.protocol(),
        judge.code,
    )
    pixels = {"judge": "pixels", "resize": "none"}
    return by_judge, Space(
        "pixels", None, real.identity, real.train_images, real.test_images, pixels
    )


def _memory(
    one: Samples,
    count: int,
    real: RealImages,
    judge: Judge,
    seen: Measured,
    kept: Kept,
    protocol: dict[str, Any],
) -> tuple[list[Score], np.ndarray]:
    """Scores of samples' nearest training images, and these images' rows (by features)."""
    by_judge, shown = spaces(real, judge, seen.real)
    facts = {**protocol, "seeds": [one.seed]}
    by_features, rows = memory_scores(seen.first[:count], by_judge, kept, **facts)
    by_pixels, _ = memory_scores(one.images[:count], shown, kept, **facts)
    return by_features + by_pixels, rows
