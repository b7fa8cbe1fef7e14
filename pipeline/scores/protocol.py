"""The protocol of every judge: sample sets against real images, each figure beside its floor.

In-domain or standard, with labels or without: what a judge cannot read (labels of other classes, no
logits) or what samples lack is left out. What depends on real images only is computed once and
kept: their features, and the floors and ceilings, which are the same figures of held-out images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.scores.distribution import as_scores, fid_within_classes, tried
from pipeline.scores.extractor import Extractor
from pipeline.scores.inputs import Kept, RealImages, Samples, Sets, Told, drawn, unheard
from pipeline.scores.labels import SPLITS, gan_test, inception_style_score
from pipeline.scores.naming import not_measured, scored
from pipeline.scores.score import Score, combine


@dataclass(frozen=True)
class Reference:
    """Which real images sample sets are compared with.

    drawn: a random part of the training split as large as a set, another one per seed (the floors:
    of the test split likewise). Else the first `limit` training images (None: all, which is what
    published FIDs use), and the first test images.
    """

    drawn: bool = True
    limit: int | None = None

    def train(self, available: int, count: int, seed: int) -> np.ndarray:
        """Rows of the training split that a set of `count` samples is compared with."""
        if self.drawn:
            return drawn(available, count, seed)
        return np.arange(min(self.limit or available, available))

    def test(self, available: int, count: int, seed: int) -> np.ndarray:
        """Rows of the test split that stand in for `count` samples."""
        return drawn(available, count, seed) if self.drawn else np.arange(min(count, available))

    def used(self, available: int) -> int:
        """How many of the training images can be needed at all."""
        return available if self.drawn else min(self.limit or available, available)

    def part(self, train: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """These rows of what `used` images gave; all of it is not copied."""
        return train[rows] if self.drawn else train

    def draws(self, seeds: Sequence[int]) -> list[int]:
        """Seeds for which the real images differ."""
        return list(seeds) if self.drawn else [0]


@dataclass(frozen=True)
class Measured:
    """Scores, what they were compared with, and the features float32 [N, F] of the first set."""

    scores: list[Score]
    real: RealSide
    first: np.ndarray


def measure(
    samples: Sequence[Samples],
    real: RealImages,
    extractor: Extractor,
    kept: Kept,
    *,
    reference: Reference = Reference(),
    neighbours: int = 5,
    told: Told = unheard,
    **protocol: Any,
) -> Measured:
    """GAN-test, IS, FID, KID, precision, recall, density, coverage and FID within classes, as far
    as extractor and samples have what they need; mean ± sd over the sets, with floors.

    Args:
        samples: one or more equally large sets.
        protocol: what only the caller knows (ema, batch_norm, …).

    Raises UserError where sets differ in size or do not fit the extractor.
    """
    sets = Sets.of(samples)
    count, seeds = sets.count, list(sets.seeds)
    place: dict[str, Any] = {"reference": reference, "neighbours": neighbours, "told": told}
    seen = real_side(sets, real, extractor, kept, **place)
    bench = _Bench(real, extractor, reference, neighbours, protocol)
    found, first = [], np.empty(0, np.float32)
    what = f"{extractor.name}, samples"
    for index, one in enumerate(samples):

        def heard(done: int, _: int, before: int = index * count) -> None:
            told(what, before + done, count * len(samples))

        features, own_logits = extractor.outputs(one.images, heard)
        first = features if index == 0 else first
        rows = reference.train(len(real.train_images), count, one.seed)
        against = reference.part(seen.train, rows)
        found.append(bench.figures(features, own_logits, one.labels, against, rows))
    scores = [combine(list(same), seeds=seeds) for same in zip(*found, strict=True)]
    scores = [
        replace(score, real=value, real_sd=sd)
        for score, (value, sd) in zip(scores, seen.floors, strict=True)
    ]
    return Measured(scores, seen, first)


@dataclass(frozen=True)
class RealSide:
    """What real images are to an extractor: the features float32 [N, F] of both splits, and value
    and spread of each figure for real test images."""

    train: np.ndarray
    test: np.ndarray
    floors: list[tuple[float | None, float | None]]


def real_side(
    sets: Sets,
    real: RealImages,
    extractor: Extractor,
    kept: Kept,
    *,
    reference: Reference = Reference(),
    neighbours: int = 5,
    told: Told = unheard,
) -> RealSide:
    """All of `measure` that needs no samples, kept."""
    train, _ = real_outputs(
        "train", reference.used(len(real.train_images)), real, extractor, kept, told
    )
    held = len(real.test_images) if reference.drawn else sets.count
    test, logits = real_outputs("test", held, real, extractor, kept, told)
    bench = _Bench(real, extractor, reference, neighbours, {})
    return RealSide(train, test, bench.floors(train, (test, logits), sets, kept, told))


@dataclass(frozen=True)
class _Bench:
    real: RealImages
    extractor: Extractor
    reference: Reference
    neighbours: int
    protocol: dict[str, Any]

    def figures(
        self,
        features: np.ndarray,
        logits: np.ndarray | None,
        labels: np.ndarray | None,
        against: np.ndarray,
        rows: np.ndarray,
    ) -> list[Score]:
        """What one set's outputs tell against the features of the training images `rows`."""
        real, judge = self.real, self.extractor
        classes = labels is not None and judge.num_classes is not None
        facts = {
            "reference": "train",
            "n_floor": min(len(features), len(real.test_images)),
            "n_fake": len(features),
            "n_real": len(rows),
        }
        scores = []
        if classes and logits is not None and labels is not None:
            scores.append(gan_test(logits, labels, judge, real.classes, **self.protocol))
        scores.append(self._inception_score(features, logits))
        figures = tried(features, against, self.neighbours)
        more = {"neighbours": self.neighbours, **facts, **self.protocol}
        scores += as_scores(figures, judge, **more)
        if classes and labels is not None:
            scores.append(self._within(features, labels, against, real.train_labels[rows], facts))
        return scores

    def _within(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        against: np.ndarray,
        against_labels: np.ndarray,
        facts: dict[str, Any],
    ) -> Score:
        """FID within classes, or why no class has the images for it."""
        judge, classes = self.extractor, self.real.classes
        by: dict[str, Any] = {"slug": judge.slug, "judge": judge.name}
        by["n"] = round(len(features) / len(classes))  # whichever of them a draw lacks images of
        by["protocol"] = {**judge.protocol(), **facts, **self.protocol}
        try:
            found = fid_within_classes(features, labels, against, against_labels, classes)
        except UserError as error:
            return not_measured("fid_within_classes", str(error), **by)
        mean = float(np.mean(list(found.values())))
        return scored("fid_within_classes", mean, per_class=found, **by)

    def _inception_score(self, features: np.ndarray, logits: np.ndarray | None) -> Score:
        judge, why = self.extractor, ""
        if logits is None:
            why = judge.no_logits
        elif len(logits) < SPLITS:
            why = f"{SPLITS} splits need {SPLITS} images or more"
        if logits is None or why:
            named = {"slug": judge.slug, "judge": judge.name, "n": len(features)}
            return not_measured("is", why, **named)
        return inception_style_score(logits, judge, **self.protocol)

    def floors(
        self,
        train: np.ndarray,
        test: tuple[np.ndarray, np.ndarray | None],
        sets: Sets,
        kept: Kept,
        told: Told,
    ) -> list[tuple[float | None, float | None]]:
        """Value and spread of each of `figures`, in its order, for real test images."""
        real, count, labelled = self.real, sets.count, sets.labelled
        seeds = self.reference.draws(sets.seeds)

        def compute() -> dict[str, np.ndarray]:
            told("floors and ceilings", 0, 0)
            found = []
            for seed in seeds:
                held = self.reference.test(len(real.test_images), count, seed)
                rows = self.reference.train(len(real.train_images), count, seed)
                found.append(
                    self.figures(
                        test[0][held],
                        None if test[1] is None else test[1][held],
                        real.test_labels[held] if labelled else None,
                        self.reference.part(train, rows),
                        rows,
                    )
                )
            both = [combine(list(same)) for same in zip(*found, strict=True)]
            numbers = [[math.nan if v is None else v for v in (s.value, s.sd)] for s in both]
            return {"floors": np.array(numbers, dtype=np.float64)}

        name = (
            f"floors:{self.reference}:{count}:{self.neighbours}:{seeds}:{labelled}:"
            f"{self.extractor.identity}:{real.identity}"
        )
        code = f"{__name__} {self.extractor.code}"
        pairs = kept(code, name, compute)["floors"].tolist()
        return [(_known(value), _known(sd)) for value, sd in pairs]


SPLITS_TOLD = (", train", ", test")  # ends of the names by which `real_outputs` tells of itself


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def real_outputs(
    split: str,
    count: int,
    real: RealImages,
    extractor: Extractor,
    kept: Kept,
    told: Told = unheard,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Features float32 [N, F] of the first `count` images of a split, and the test split's logits.

    Kept in portions, as far as the extractor has them, so that an interrupted run goes on.
    """
    images = (real.train_images if split == "train" else real.test_images)[:count]
    what = f"{extractor.name}, {split}"
    step = extractor.portion or max(1, len(images))
    parts = []
    for start in range(0, len(images), step):
        part = images[start : start + step]

        def heard(done: int, _: int, before: int = start) -> None:
            told(what, before + done, len(images))

        def compute(part: np.ndarray = part, heard: Any = heard) -> dict[str, np.ndarray]:
            features, logits = extractor.outputs(part, heard)
            more = {} if logits is None or split == "train" else {"logits": logits}
            return {"features": features, **more}

        name = f"{split}:{start}:{len(part)}:{extractor.identity}:{real.identity}"
        parts.append(kept(extractor.code, name, compute))
        heard(len(part), len(part))
    logits = [part["logits"] for part in parts if "logits" in part]
    features = np.concatenate([part["features"] for part in parts])
    return features, np.concatenate(logits) if logits else None
