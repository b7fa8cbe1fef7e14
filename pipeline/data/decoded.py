"""What a decoder returns, and cutting a test split where there is none."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.data.dataset import DataSettings
from pipeline.data.scratch import Images
from pipeline.data.survey.description import TRAIN, Description
from pipeline.errors import UserError

SPLIT_SEED = 0


@dataclass
class Decoded:
    """The content of a source before it becomes a Dataset.

    train, test: images uint8 [N, H, W, C], in memory or in a file, and labels int64 [N]; test is
        None where the source has no test split.
    classes: names by label; None where the source has none (labels name themselves).
    skipped: number of unreadable images left out.
    """

    train: tuple[Images, np.ndarray]
    test: tuple[Images, np.ndarray] | None
    classes: tuple[str, ...] | None = None
    skipped: int = 0


def any_order(count: int) -> np.ndarray:
    """One fixed random order of so many rows, int64 [N]."""
    return np.random.default_rng(SPLIT_SEED).permutation(count)


def mixed_order(labels: np.ndarray) -> np.ndarray | None:
    """One fixed random order, int64 [N], of rows that come class by class: the first of them, on
    which some scores are taken, would be of the first classes alone. None for other rows."""
    shares = np.bincount(labels) / len(labels)
    changes_if_random = (len(labels) - 1) * (1 - np.sum(shares**2))
    changes = np.count_nonzero(np.diff(labels))
    if not (changes_if_random > 0 and changes <= 0.5 * changes_if_random):
        return None
    return any_order(len(labels))


def require_usable(description: Description, settings: DataSettings, where: str) -> None:
    """Raise UserError for what `class_names` and `cut_test` would refuse after all was decoded, as
    far as the survey knows it."""
    names = description.classes
    if names is None:
        return
    if len(names) == 1:
        raise _one_class(names, where, description.notes)
    trained = [s.counts for s in description.splits if s.role == TRAIN and s.counts]
    counts = [sum(one) for one in zip(*trained, strict=True)]
    if counts and not all(counts):
        raise _empty_classes(names, [n for n, count in enumerate(counts) if not count], where)
    if not description.held_out and settings.on_bad_image == "error" and 1 in counts:
        raise _lone(names[counts.index(1)], where)


def _one_class(names: tuple[str, ...], where: str, notes: Sequence[str] = ()) -> UserError:
    told = "".join(f"; {note}" for note in notes)
    return UserError(
        f"{where}: only one class ({names[0]}); a stack of GANs needs two or more{told}"
    )


def _empty_classes(names: tuple[str, ...], missing: Sequence[int], where: str) -> UserError:
    listed = ", ".join(names[label] for label in missing[:10])
    return UserError(
        f"{where}: no training images for class {listed} ({len(missing)} of {len(names)} classes "
        "are empty). Labels must be 0 to K-1, each with images: relabel, add or remove."
    )


def _lone(name: str, where: str) -> UserError:
    return UserError(
        f"{where}: class {name!r} has one image, which cannot be both in training and in "
        "test. Add images, remove the class, give a test split of your own, or set "
        "data.on_bad_image: skip to leave such classes out."
    )


def class_names(decoded: Decoded, where: str) -> tuple[str, ...]:
    """The classes, after checking that the labels are 0..K-1 and that each has images.

    Raises UserError naming `where` for a label out of range, a class without training images,
    or fewer than two classes.
    """
    train_labels = decoded.train[1]
    if not len(train_labels):
        raise UserError(f"{where}: no training images found")
    known = decoded.classes
    count = len(known) if known is not None else int(train_labels.max()) + 1
    for split, part in (("train", decoded.train), ("test", decoded.test)):
        if part is not None and len(part[1]) and int(part[1].max()) >= count:
            row = int(part[1].argmax())
            raise UserError(
                f"{where}: {split} label {part[1][row]} at row {row} is out of range; the "
                f"{count} classes are labelled 0 to {count - 1}"
            )
    names = known if known is not None else tuple(str(label) for label in range(count))
    missing = np.setdiff1d(np.arange(count), train_labels)
    if len(missing):
        raise _empty_classes(names, missing.tolist(), where)
    if count < 2:
        raise _one_class(names, where)
    return names


def without_lone_images(
    decoded: Decoded, names: tuple[str, ...]
) -> tuple[Decoded, tuple[str, ...]]:
    """Leave out the classes of a single training image, and count these; labels close the gaps."""
    images, labels = decoded.train
    counts = np.bincount(labels, minlength=len(names))
    kept = np.flatnonzero(counts != 1)
    rows = np.isin(labels, kept)
    train = images[rows], np.searchsorted(kept, labels[rows])
    names = tuple(names[label] for label in kept)
    skipped = decoded.skipped + int((~rows).sum())
    return Decoded(train, decoded.test, names, skipped), names


def cut_test(decoded: Decoded, fraction: float, names: tuple[str, ...], where: str) -> Decoded:
    """Hold out `fraction` of each class (at least one image) as the test split.

    The choice is fixed, and rows keep their order within each split.
    Raises UserError for a class with a single image, or a fraction outside of (0, 1).
    """
    if not 0 < fraction < 1:
        raise UserError(f"data.test_fraction is {fraction}; it must lie between 0 and 1")
    images, labels = decoded.train
    rng = np.random.default_rng(SPLIT_SEED)
    held = np.zeros(len(labels), dtype=bool)
    for label, name in enumerate(names):
        rows = np.flatnonzero(labels == label)
        if len(rows) < 2:
            raise _lone(name, where)
        count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
        held[rng.permutation(rows)[:count]] = True
    return Decoded(
        train=(images[~held], labels[~held]),
        test=(images[held], labels[held]),
        classes=decoded.classes,
        skipped=decoded.skipped,
    )
