"""Are samples copies of training images: nearest neighbours, in judge features and in pixels.

Pixel distance favours blur (a mean image is near to all), so the two stand side by side, and the
gap compares training images with unseen ones, which blur brings nearer alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.scores.inputs import Kept
from pipeline.scores.naming import not_measured, scored
from pipeline.scores.neighbours import memorisation, memorisation_gap, nearest
from pipeline.scores.score import Score


@dataclass(frozen=True)
class Space:
    """Where distances are taken: points [N, ...] of both real splits, and what to say of it.

    name: "features" or "pixels"; judge: whose features; identity: what the arrays are kept under;
    facts: its protocol; code: of what made the points, as `Kept` takes it, "" for pixels.
    """

    name: str
    judge: str | None
    identity: str
    train: np.ndarray
    test: np.ndarray
    facts: Mapping[str, Any]
    code: str = ""


def memory_scores(
    samples: np.ndarray, space: Space, kept: Kept, **protocol: Any
) -> tuple[list[Score], np.ndarray]:
    """Three scores of samples [M, ...] in one space, and the rows of their nearest training images.

    `kept` keeps what depends on real images only. The ratio and the share of
    copies compare with as many test images. The gap searches one half of the test images and as
    many training images, so exact copies reach about the share of these in the training split
    (`reached_by_copies`); its real value is that of the other half of the test images.
    """
    distances = usual_distances(len(samples), space, kept)
    facts = {
        **space.facts,
        "n_fake": len(samples),
        "n_real": len(space.train),
        "n_test": len(distances),
        "reference": "train",
        **protocol,
    }
    place: dict[str, Any] = {"space": space.name, "judge": space.judge, "n": len(samples)}
    place["protocol"] = facts
    gap = _gap(samples, space, kept, place)
    try:
        found = memorisation(samples, space.train, distances)
    except UserError as error:
        unmeasured = [not_measured(m, str(error), **place) for m in ("nearest_ratio", "copies")]
        return [*unmeasured, gap], nearest(samples, space.train)[1]
    scores = [
        scored("nearest_ratio", found.ratio, real=1.0, **place),
        scored("copies", found.copies, real=0.01, **place),
        gap,
    ]
    return scores, found.rows


def usual_distances(count: int, space: Space, kept: Kept) -> np.ndarray:
    """Distance float32 [M] of each of `count` test images to its nearest training image, kept."""
    usual = space.test[_order(space)[:count]]
    return kept(
        f"{__name__} {space.code}",
        f"nearest:{space.name}:{len(usual)}:{space.identity}",
        lambda: {"distances": nearest(usual, space.train)[0]},
    )["distances"]


def usual_gap(count: int, space: Space, kept: Kept) -> float:
    """`memorisation_gap` of `count` test images that are not among the unseen ones, kept.

    Raises UserError where there are too few test images, or they are all alike.
    """
    known, unseen = _halves(space)
    fresh = space.test[_order(space)[len(unseen) :][:count]]
    return float(
        kept(
            f"{__name__} {space.code}",
            f"memorisation_gap:{space.name}:{len(unseen)}:{len(fresh)}:{space.identity}",
            lambda: {"gap": np.array([memorisation_gap(fresh, known, unseen)])},
        )["gap"][0]
    )


def _gap(samples: np.ndarray, space: Space, kept: Kept, place: dict[str, Any]) -> Score:
    try:
        known, unseen = _halves(space)
        half = len(unseen)
        facts = {**place["protocol"], "n_real": half, "n_test": half, "reference": "train, test"}
        facts["reached_by_copies"] = half / len(space.train)
        place = {**place, "protocol": facts}
        real = usual_gap(len(samples), space, kept)
        value = memorisation_gap(samples, known, unseen)
    except UserError as error:
        return not_measured("memorisation_gap", str(error), **place)
    return scored("memorisation_gap", value, real=real, **place)


def _halves(space: Space) -> tuple[np.ndarray, np.ndarray]:
    """As many training images as unseen ones, and these: one half of the test images.

    Raises UserError where there is none.
    """
    half = min(len(space.test) // 2, len(space.train))
    if not half:
        raise UserError(f"{len(space.test)} held-out image; it takes two or more")
    rows = np.random.default_rng([0, 8]).permutation(len(space.train))[:half]
    return space.train[rows], space.test[_order(space)[:half]]


def _order(space: Space) -> np.ndarray:
    return np.random.default_rng([0, 7]).permutation(len(space.test))
