"""Are samples copies of training images: nearest neighbours, in judge features and in pixels.

Pixel distance favours blur (a mean image is near to all), so the two stand side by side, and the
gap compares training images with unseen ones, which blur brings nearer alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.scores.neighbours import memorisation, memorisation_gap, nearest
from pipeline.scores.score import Score, not_measured

Cached = Callable[[str, Callable[[], dict[str, np.ndarray]]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Space:
    """Where distances are taken: points [N, ...] of both real splits, and what to say of it.

    key: "features" or "pixels"; place: for a score's name; facts: its protocol.
    """

    key: str
    place: str
    train: np.ndarray
    test: np.ndarray
    facts: Mapping[str, Any]


def memory_scores(
    samples: np.ndarray, space: Space, cached: Cached, **protocol: Any
) -> tuple[list[Score], np.ndarray]:
    """Three scores of samples [M, ...] in one space, and the rows of their nearest training images.

    `cached(name, compute)` keeps what depends on real images only. The ratio and the share of
    copies compare with as many test images. The gap searches one half of the test images and as
    many training images, so exact copies reach about the share of these in the training split
    (`reached_by_copies`); its real value is that of the other half of the test images.
    """
    order = np.random.default_rng([0, 7]).permutation(len(space.test))
    usual = space.test[order[: len(samples)]]
    distances = cached(
        f"nearest:{space.key}:{len(usual)}",
        lambda: {"distances": nearest(usual, space.train)[0]},
    )["distances"]
    found = memorisation(samples, space.train, distances)
    facts = {
        **space.facts,
        "n_fake": len(samples),
        "n_real": len(space.train),
        "n_test": len(usual),
        "reference": "train",
        **protocol,
    }
    ratio = Score(
        f"Nearest training image, samples over test images ({space.place})",
        f"nearest_ratio_{space.key}",
        found.ratio,
        real=1.0,
        better="near real",
        protocol=facts,
    )
    copies = Score(
        f"Share nearer to a training image than 1 % of test images are ({space.place})",
        f"copies_{space.key}",
        found.copies,
        real=0.01,
        better="lower",
        protocol=facts,
    )
    return [ratio, copies, _gap(samples, space, order, cached, facts)], found.rows


def _gap(
    samples: np.ndarray, space: Space, order: np.ndarray, cached: Cached, facts: dict[str, Any]
) -> Score:
    half = min(len(space.test) // 2, len(space.train))
    unseen, fresh = space.test[order[:half]], space.test[order[half:][: len(samples)]]
    rows = np.random.default_rng([0, 8]).permutation(len(space.train))[:half]
    known = space.train[rows]
    name = f"Memorisation gap: nearer to training than to unseen images ({space.place})"
    key = f"memorisation_gap_{space.key}"
    facts = {**facts, "n_real": half, "n_test": half, "reference": "train, test"}
    facts["reached_by_copies"] = half / len(space.train)
    try:
        real = cached(
            f"memorisation_gap:{space.key}:{half}:{len(fresh)}",
            lambda: {"gap": np.array([memorisation_gap(fresh, known, unseen)])},
        )["gap"]
        value = memorisation_gap(samples, known, unseen)
    except UserError as error:
        return not_measured(name, key, str(error), **facts)
    return Score(name, key, value, real=float(real[0]), better="near real", protocol=facts)
