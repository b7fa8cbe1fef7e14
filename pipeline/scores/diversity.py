"""Diversity within a class: mean pairwise distances, as a ratio to real images of the class.

Distances in pixels and judge features are Euclidean; the others are 1 - SSIM and LPIPS. Accuracy
cannot see collapse and distance cannot tell variety from noise: each of the scores here carries the
judge's accuracy on the very same images in its protocol (`gan_test`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.scores.extractor import check_images
from pipeline.scores.inputs import Kept, RealImages
from pipeline.scores.judge import Judge
from pipeline.scores.naming import ALL_Z, not_measured, scored
from pipeline.scores.score import Score
from pipeline.scores.similarity import Lpips, ssim_distance

SPACES = ("pixels", "features", "ssim")  # and "lpips", where its weights are at hand
PER_CLASS = 200  # images of a class that pairs are made of, at most
_SSIM_PAIRS = 2000  # of all groups together, drawn: 200 of each class of ten


@dataclass(frozen=True)
class RealDiversity:
    """Real training images' mean pairwise distance per class ([K], one array per space).

    `held_out` is the same for real test images over the former: how far from 1 a ratio may be by
    chance. NaN for classes with fewer than two images. lpips: what measures the space "lpips".
    """

    classes: tuple[str, ...]
    distances: dict[str, np.ndarray]
    held_out: dict[str, np.ndarray]
    per_class: int
    lpips: Lpips | None = None

    @property
    def spaces(self) -> tuple[str, ...]:
        """Where distances are taken, in the order of the scores."""
        return SPACES if self.lpips is None else (*SPACES, "lpips")


def mean_pairwise_distance(points: np.ndarray) -> float:
    """Mean Euclidean distance over the pairs i < j of [N, ...] (flattened); NaN if N < 2.

    uint8 images count as values in [0, 1]. Quadratic in N.
    """
    import torch

    if len(points) < 2:
        return float("nan")
    scale = 255.0 if points.dtype == np.uint8 else 1.0
    flat = torch.from_numpy(points.reshape(len(points), -1).astype(np.float32) / scale)
    return float(torch.pdist(flat).mean())


def real_diversity(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    judge: Judge,
    classes: Sequence[str],
    *,
    per_class: int = PER_CLASS,
    seed: int = 0,
    lpips: Lpips | None = None,
) -> RealDiversity:
    """Reference distances from at most `per_class` images of each class, drawn with `seed`.

    train and test are (images uint8 [N, H, W, C], labels int [N]).
    """
    found = []
    for images, labels in (train, test):
        several = ~_alone(labels)
        images, labels = images[several], labels[several]
        rules = (judge, len(classes), per_class, seed, lpips)
        found.append(_by_group(images, labels, labels, *rules)[0])
    held_out = {space: _over(found[1][space], found[0][space]) for space in found[0]}
    return RealDiversity(tuple(classes), found[0], held_out, per_class, lpips)


def _over(distances: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Distances over those of real images; NaN where the latter are 0: images all alike."""
    usual = np.nanmax(real, initial=0.0)
    return distances / np.where(real > 1e-6 * usual, real, np.nan)


def kept_reference(
    real: RealImages, judge: Judge, kept: Kept, lpips: Lpips | None = None
) -> RealDiversity:
    """`real_diversity` of both splits, from the cache where it is there."""

    def compute() -> dict[str, np.ndarray]:
        found = real_diversity(
            (real.train_images, real.train_labels),
            (real.test_images, real.test_labels),
            judge,
            real.classes,
            lpips=lpips,
        )
        return {
            f"{split} {space}": values[space]
            for split, values in (("train", found.distances), ("held out", found.held_out))
            for space in found.spaces
        }

    by = f"{judge.identity}:{lpips.digest if lpips else 'no LPIPS'}"
    code = f"{__name__} {judge.code}"
    arrays = kept(code, f"diversity:{len(real.classes)}:{by}:{real.identity}", compute)
    empty = RealDiversity(real.classes, {}, {}, PER_CLASS, lpips)
    train, held_out = (
        {space: arrays[f"{split} {space}"] for space in empty.spaces}
        for split in ("train", "held out")
    )
    return RealDiversity(real.classes, train, held_out, PER_CLASS, lpips)


def diversity(
    images: np.ndarray,
    labels: np.ndarray,
    judge: Judge,
    real: RealDiversity,
    *,
    groups: np.ndarray | None = None,
    varies: str = ALL_Z,
    seed: int = 0,
    **protocol: Any,
) -> list[Score]:
    """A score for each of real.spaces (pixels, judge features, …): ratio to real images.

    images uint8 [N, H, W, C], labels int [N] as asked. `groups` int [N]: images of one group share
    all inputs but those that `varies` names (default: a group is a class, every z varies; for the
    decisive test hand in groups of one h_1, varies="z_0"). Per class the mean over its groups,
    then the mean over classes. Without `groups`, classes of a single image are left out, and named
    in the protocol (`alone`). Keys: `diversity_pixels`, and of z_0 `diversity_z0_pixels`. Raises
    UserError where one of `groups` mixes labels or has fewer than 2 images.
    """
    check_images(images, "diversity images")
    labels, of_classes = np.asarray(labels), groups is None
    groups = labels if groups is None else np.asarray(groups)
    if labels.shape != (len(images),) or groups.shape != (len(images),):
        raise UserError(
            f"diversity: {len(images)} images, {len(labels)} labels and {len(groups)} "
            f"groups; one of each per image is needed"
        )
    facts: dict[str, Any] = {"n_fake": len(images), "reference": "train"}
    if of_classes and (alone := _alone(labels)).any():
        facts["alone"] = [real.classes[label] for label in labels[alone]]
        images, labels, groups = images[~alone], labels[~alone], groups[~alone]
    distances, accuracy = _by_group(
        images, labels, groups, judge, len(real.classes), real.per_class, seed, real.lpips
    )
    facts |= {
        "groups": len(np.unique(groups)),
        "per_class_at_most": real.per_class,
        "varies": varies,
        "seed": seed,
        "gan_test": accuracy if len(images) else None,
        "gan_test_judge_sha256": judge.digest,
        **protocol,
    }
    return [_ratio(space, distances[space], judge, real, facts) for space in real.spaces]


def _alone(labels: np.ndarray) -> np.ndarray:
    """Mask [N] of the images that are the only one of their class."""
    return np.isin(labels, np.flatnonzero(np.bincount(labels) == 1))


def _ratio(
    space: str, distances: np.ndarray, judge: Judge, real: RealDiversity, facts: dict[str, Any]
) -> Score:
    """Distances per class [K] in one space over those of real images."""
    ratios = _over(distances, real.distances[space])
    per_class = {
        name: float(ratio)
        for name, ratio in zip(real.classes, ratios, strict=True)
        if np.isfinite(ratio)
    }
    by, how = _described(space, judge, real.lpips)
    place = {"judge": by, "n": facts["n_fake"], "space": space, "varies": facts["varies"]}
    if not per_class:
        why = "no class has two samples, and two real images that differ"
        return not_measured("diversity", why, **place, protocol={**how, **facts})
    held = real.held_out[space][np.isfinite(real.held_out[space])]
    return scored(
        "diversity",
        float(np.mean(list(per_class.values()))),
        **place,
        real=float(held.mean()) if len(held) else None,
        real_sd=float(held.std()) if len(held) else None,
        per_class=per_class,
        protocol={**how, **facts},
    )


def _described(space: str, judge: Judge, lpips: Lpips | None) -> tuple[str | None, dict[str, str]]:
    """Whose distance it is (None: nobody's, pixels as they are), and its protocol."""
    if space == "lpips" and lpips is not None:
        return lpips.name, {**lpips.protocol(), "distance": "mean LPIPS over pairs"}
    if space == "features":
        return judge.name, {**judge.protocol(), "distance": "mean Euclidean over pairs"}
    distance = "mean Euclidean over pairs" if space == "pixels" else "mean of 1 - SSIM over pairs"
    return None, {"judge": "pixels", "resize": "none", "distance": distance}


def _by_group(
    images: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    judge: Judge,
    num_classes: int,
    limit: int,
    seed: int,
    lpips: Lpips | None,
) -> tuple[dict[str, np.ndarray], float]:
    """Mean distance per class (mean over its groups) by space, and the judge's accuracy."""
    rng = np.random.default_rng(seed)
    chosen, owners = [], []
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        owner = np.unique(labels[rows])
        if len(owner) != 1 or len(rows) < 2:
            raise UserError(
                f"diversity: group {group} has {len(rows)} images of labels "
                f"{owner.tolist()}; needed: two images or more, all of one label"
            )
        chosen.append(rows if len(rows) <= limit else rng.permutation(rows)[:limit])
        owners.append(int(owner[0]))
    if not chosen:
        spaces = SPACES if lpips is None else (*SPACES, "lpips")
        return {space: np.full(num_classes, np.nan) for space in spaces}, math.nan
    flat = np.concatenate(chosen)
    pairs = max(20, _SSIM_PAIRS // len(chosen))
    features, logits = judge.outputs(images[flat])
    collected: dict[str, list[list[float]]] = {}
    starts = np.cumsum([0] + [len(rows) for rows in chosen])
    for index, label in enumerate(owners):
        part = slice(starts[index], starts[index + 1])
        members = images[flat[part]]
        found = {
            "pixels": mean_pairwise_distance(members),
            "features": mean_pairwise_distance(features[part]),
            "ssim": ssim_distance(members, pairs, seed),
        }
        if lpips is not None:
            found["lpips"] = lpips.mean_distance(members)
        for space, value in found.items():
            collected.setdefault(space, [[] for _ in range(num_classes)])[label].append(value)
    means = {
        space: np.array([np.mean(values) if values else np.nan for values in per_class])
        for space, per_class in collected.items()
    }
    return means, float((logits.argmax(1) == labels[flat]).mean())
