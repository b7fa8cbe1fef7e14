"""What goes into a measurement: real images, samples, and what the caller lends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import UserError

# kept(module, name, compute): the arrays that `compute` gives, from wherever they are kept.
# `module` (its `__name__`) is the code that they depend on, several with a space between them;
# `name` is everything else.
Kept = Callable[[str, str, Callable[[], dict[str, np.ndarray]]], dict[str, np.ndarray]]

# told(what, done, in all) hears how far a piece of work is; a step without a measure has 0 of 0.
Told = Callable[[str, int, int], None]


def unheard(what: str, done: int, total: int) -> None:
    """A Told that tells nobody."""


@dataclass(frozen=True)
class RealImages:
    """The real data: uint8 [N, H, W, C] and int64 [N] of both splits, classes, and its digest."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    digest: str

    @property
    def frequencies(self) -> list[int]:
        """Training images of each class, as `pipeline.scores.asked` takes them."""
        return np.bincount(self.train_labels, minlength=len(self.classes)).tolist()

    @property
    def identity(self) -> str:
        """What arrays that depend on these images are kept under."""
        return identity_of(self.digest, len(self.train_images), len(self.test_images))


def identity_of(digest: str, train: int, test: int) -> str:
    """`RealImages.identity` of so many images in each split."""
    return f"{digest}:{train}:{test}"


@dataclass(frozen=True)
class Samples:
    """Samples of one seed: uint8 [N, H, W, C], the labels asked for int64 [N], and the seed.

    labels: None for images that nobody asked a class of; what needs labels is then left out.
    """

    images: np.ndarray
    labels: np.ndarray | None
    seed: int


@dataclass(frozen=True)
class Sets:
    """What is known of sample sets before there are any: images in each, the seeds, and whether a
    class is asked of each image."""

    count: int
    seeds: tuple[int, ...]
    labelled: bool = True

    @classmethod
    def of(cls, samples: Sequence[Samples]) -> Sets:
        """Of sets that are there. Raises UserError as `check_sets`."""
        check_sets(samples)
        first, seeds = samples[0], tuple(one.seed for one in samples)
        return cls(len(first.images), seeds, first.labels is not None)


def check_sets(samples: Sequence[Samples]) -> None:
    """Raise UserError unless there are sample sets of one size, all with labels or all without."""
    if not samples or len({len(one.images) for one in samples}) != 1:
        raise UserError("evaluation: hand in one or more sample sets of equal size")
    if len({one.labels is None for one in samples}) != 1:
        raise UserError("evaluation: some sample sets have labels and some have none")
    for one in samples:
        if one.labels is not None and len(one.labels) != len(one.images):
            raise UserError(f"evaluation: {len(one.images)} images and {len(one.labels)} labels")


def drawn(available: int, count: int, seed: int) -> np.ndarray:
    """Rows of the real images that serve for one seed: `count` of them, or all there are."""
    return np.random.default_rng([seed, 7]).permutation(available)[:count]
