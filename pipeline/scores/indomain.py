"""Every in-domain score of a stack's samples by one independent judge, floors and ceilings beside.

Samples come as one set per seed; each figure is the mean ± sd over them. What depends on real
images only (features, floors, ceilings) is computed once and cached by digest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.scores.distribution import as_scores, compare, fid_within_classes
from pipeline.scores.diversity import PER_CLASS, RealDiversity, diversity, real_diversity
from pipeline.scores.feature_cache import cached_arrays
from pipeline.scores.judge import Judge
from pipeline.scores.labels import gan_test, inception_style_score
from pipeline.scores.memory import Space, memory_scores
from pipeline.scores.ndb import bins, ndb, nearest_bin
from pipeline.scores.score import Score, combine, mean_sd, thousands
from pipeline.scores.similarity import Lpips

Told = Callable[[str, float], None]


@dataclass(frozen=True)
class RealImages:
    """The real data: uint8 [N, H, W, C] and int64 [N] of both splits, classes, and its digest."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    digest: str


@dataclass(frozen=True)
class Samples:
    """Samples of one seed: uint8 [N, H, W, C], the labels asked for int64 [N], and the seed."""

    images: np.ndarray
    labels: np.ndarray
    seed: int


@dataclass(frozen=True)
class InDomain:
    """What a judge says: the scores, the real reference for further diversity studies, and the
    rows of the training images nearest to the first `len(nearest_rows)` samples (by features)."""

    scores: list[Score]
    real_diversity: RealDiversity
    nearest_rows: np.ndarray


def in_domain(
    samples: Sequence[Samples],
    real: RealImages,
    judge: Judge,
    cache: str | Path,
    *,
    neighbours: int = 5,
    memory_images: int = 2000,
    lpips: Lpips | None = None,
    told: Told | None = None,
    **protocol: Any,
) -> InDomain:
    """GAN-test, IS, FID (overall and within classes), KID, precision, recall, density, coverage,
    NDB, diversity and memorisation of one or more equally large sample sets.

    The reference of the distances is a random part of the training split, as large as a sample
    set, another one per seed; floors compare the test split with the same parts. `memory_images`
    samples are searched for training neighbours. `lpips` adds LPIPS to the diversity. `protocol`
    says what only the caller knows (ema, batch_norm, …). `told(what, share done)` reports progress.
    Raises UserError where sets differ in size or do not fit the judge.
    """
    if not samples or len({len(one.images) for one in samples}) != 1:
        raise UserError("evaluation: hand in one or more sample sets of equal size")
    told = told or (lambda what, share: None)
    told("features of real images", 0.0)
    bench = _Bench(real, judge, Path(cache), neighbours, len(samples[0].images), protocol)
    reference = bench.reference(lpips)
    told("floors and ceilings", 0.2)
    floors = bench.floors([one.seed for one in samples])
    found: list[list[Score]] = []
    features = np.empty(0, dtype=np.float32)
    for index, one in enumerate(samples):
        told(f"samples of seed {one.seed}", 0.4 + 0.5 * index / len(samples))
        current, logits = judge.outputs(one.images)
        features = current if index == 0 else features
        varied = diversity(one.images, one.labels, judge, reference, seed=one.seed, **protocol)
        found.append(bench.judged(one, current, logits) + varied)
    scores = [
        combine(list(same), seeds=[one.seed for one in samples])
        for same in zip(*found, strict=True)
    ]
    for index, (value, sd) in enumerate(floors):
        scores[index] = replace(scores[index], real=value, real_sd=sd)
    told("memorisation", 0.9)
    memory, rows = bench.memory(
        samples[0].images[:memory_images], features[:memory_images], seeds=[samples[0].seed]
    )
    told("done", 1.0)
    return InDomain(scores + memory, reference, rows)


class _Bench:
    """Real images as the judge sees them, and the figures of sample sets of one size."""

    def __init__(
        self,
        real: RealImages,
        judge: Judge,
        cache: Path,
        neighbours: int,
        count: int,
        protocol: dict[str, Any],
    ) -> None:
        self.real, self.judge, self.cache = real, judge, cache
        self.neighbours, self.count, self.protocol = neighbours, count, protocol
        self.train = self._outputs("train", real.train_images)
        self.test = self._outputs("test", real.test_images)

    def judged(self, one: Samples, features: np.ndarray, logits: np.ndarray) -> list[Score]:
        """What features and logits tell of one set, in an order that does not depend on it."""
        real, judge = self.real, self.judge
        part = _rows(len(real.train_images), self.count, one.seed)
        against = self.train["features"][part]
        facts = {"reference": "train", "n_floor": min(self.count, len(real.test_images))}
        scores = [
            gan_test(logits, one.labels, judge, real.classes, **self.protocol),
            inception_style_score(logits, judge, **self.protocol),
        ]
        scores += as_scores(
            compare(features, against, neighbours=self.neighbours),
            judge,
            n_fake=len(features),
            n_real=len(part),
            neighbours=self.neighbours,
            **facts,
            **self.protocol,
        )
        per_class = fid_within_classes(
            features, one.labels, against, real.train_labels[part], real.classes
        )
        each = thousands(round(len(features) / len(per_class)))
        within = Score(
            f"FID within a class, mean ({judge.name}, about {each} each)",
            f"fid_within_classes_{judge.slug}",
            float(np.mean(list(per_class.values()))),
            better="lower",
            per_class=per_class,
            protocol={**judge.protocol(), "n_fake": len(features), "n_real": len(part)}
            | facts
            | self.protocol,
        )
        return [*scores, within, self._ndb(one, part)]

    def _ndb(self, one: Samples, part: np.ndarray) -> Score:
        """Bins of the training images' pixels that samples fill unlike the part `part` of these."""
        real = self.real
        centres = self.kept("ndb-bins-2", lambda: {"centres": bins(real.train_images)})["centres"]
        owners = self.kept("ndb-train-2", lambda: {"bins": nearest_bin(real.train_images, centres)})
        return Score(
            f"NDB/K ({len(centres)} bins in pixels, {thousands(len(one.images))})",
            f"ndb_pixels_{thousands(len(one.images))}",
            ndb(nearest_bin(one.images, centres), owners["bins"][part], len(centres)),
            better="lower",
            protocol={
                "judge": "pixels",
                "resize": "none",
                "n_fake": len(one.images),
                "n_real": len(part),
                "n_floor": min(self.count, len(real.test_images)),
                "reference": "train",
                "bins": len(centres),
                **self.protocol,
            },
        )

    def reference(self, lpips: Lpips | None) -> RealDiversity:
        """Pairwise distances of real images, from the cache."""
        real, of_class = self.real, len(self.real.classes)

        def compute() -> dict[str, np.ndarray]:
            found = real_diversity(
                (real.train_images, real.train_labels),
                (real.test_images, real.test_labels),
                self.judge,
                real.classes,
                lpips=lpips,
            )
            splits = {"train": found.distances, "held_out": found.held_out}
            return {f"{name}:{k}": v for name, split in splits.items() for k, v in split.items()}

        name = f"diversity-2:{PER_CLASS}:{of_class}:{lpips.digest if lpips else 'no LPIPS'}"
        kept = self.kept(name, compute)
        distances, held_out = (
            {k.partition(":")[2]: v for k, v in kept.items() if k.startswith(split)}
            for split in ("train", "held_out")
        )
        return RealDiversity(real.classes, distances, held_out, PER_CLASS, lpips)

    def floors(self, seeds: Sequence[int]) -> list[tuple[float, float | None]]:
        """Mean and sd of the figures of `judged`, in its order, for real test images."""

        def compute() -> dict[str, np.ndarray]:
            found = []
            for seed in seeds:
                rows = _rows(len(self.real.test_images), self.count, seed)
                held_out = Samples(self.real.test_images[rows], self.real.test_labels[rows], seed)
                features, logits = self.test["features"][rows], self.test["logits"][rows]
                found.append([score.value for score in self.judged(held_out, features, logits)])
            return {"floors": np.array(found, dtype=np.float64)}

        name = f"floors-4:{self.count}:{self.neighbours}:{list(seeds)}"
        floors = self.kept(name, compute)["floors"]
        return [mean_sd(column.tolist()) for column in floors.T]

    def memory(
        self, images: np.ndarray, features: np.ndarray, **facts: Any
    ) -> tuple[list[Score], np.ndarray]:
        """Scores of samples' nearest training images, and these images' rows (by features)."""
        real, judge = self.real, self.judge
        seen = Space(
            "features",
            f"{judge.name} features",
            self.train["features"],
            self.test["features"],
            judge.protocol(),
        )
        pixels = {"judge": "pixels", "resize": "none"}
        shown = Space("pixels", "pixels", real.train_images, real.test_images, pixels)
        by_features, rows = memory_scores(features, seen, self.kept, **self.protocol, **facts)
        by_pixels, _ = memory_scores(images, shown, self.kept, **self.protocol, **facts)
        return by_features + by_pixels, rows

    def _outputs(self, split: str, images: np.ndarray) -> dict[str, np.ndarray]:
        def compute() -> dict[str, np.ndarray]:
            return dict(zip(("features", "logits"), self.judge.outputs(images), strict=True))

        return self.kept(f"outputs:{split}", compute)

    def kept(
        self, name: str, compute: Callable[[], dict[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Arrays that depend on the real images and the judge only, from the cache."""
        return cached_arrays(self.cache, f"{name}:{self._key()}", compute)

    def _key(self) -> str:
        sizes = f"{len(self.real.train_images)}:{len(self.real.test_images)}"
        return f"{self.real.digest}:{sizes}:{self.judge.digest}"


def _rows(available: int, count: int, seed: int) -> np.ndarray:
    """Rows of the real images that serve for one seed: `count` of them, or all there are."""
    return np.random.default_rng([seed, 7]).permutation(available)[:count]
