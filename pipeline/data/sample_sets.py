"""Samples of any origin, to be scored: a folder of images, ADM's npz, or WebDataset shards."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from pipeline.data.array_files import npz
from pipeline.data.collections import decode_webdataset
from pipeline.data.decoded import any_order, mixed_order
from pipeline.data.image_files import fitted, image_files, read_images
from pipeline.data.pixels import pillow
from pipeline.data.survey.arrays import npz_damage_told
from pipeline.data.survey.damage import brief_errors
from pipeline.data.survey.description import LEFT, Description
from pipeline.data.survey.kinds import TAR_SUFFIXES
from pipeline.data.survey.names import is_system, listed, normal, shown
from pipeline.data.survey.surveying import surveyed
from pipeline.errors import UserError

_FEWEST = 100
# What a reader of data sets advises, as this command's options.
_ADVICE = (
    (r"Set data\.image_size, for example .*", "--resize crops all to a square and resizes them."),
    (r", or set data\.on_bad_image: skip", ""),
    (r"data\.source\b", "--images"),
)

Found = tuple[np.ndarray, np.ndarray | None]


class RealSet(Protocol):
    """What samples have to fit: images uint8 [N, H, W, C], and the classes' names."""

    @property
    def train_images(self) -> np.ndarray: ...

    @property
    def classes(self) -> tuple[str, ...]: ...


def sample_set(
    path: Path, real: RealSet, resize: bool = False, told: Callable[[str], None] = lambda _: None
) -> Found:
    """Images uint8 [N, H, W, C] at a path, and their labels int64 [N] where it gives classes.

    Args:
        path: a folder per class, named as the real data's or by its number, or a flat folder; an
            .npz with `arr_0` [N, H, W, C] and perhaps labels in `arr_1`; a WebDataset shard, or a
            folder of them.
        real: what they have to fit.
        resize: crop to a square and resize what has another size, instead of refusing it.
        told: hears by what the folders' or shards' names are matched with the classes, and which
            images beside shards are not read.

    Images of a class folder's files come in the order of the files' names, whatever their class;
    what has no labels, and what would come class by class, in one fixed random order: some scores
    are taken on the first.
    Raises UserError for what cannot be read, unknown classes, images beside class folders, shards
    without labels, another size, too few images.
    """
    with brief_errors():
        images, labels = _read(path)(path, real, resize, told)
        if labels is None:
            return images, None
        _check_labels(path, labels, len(real.classes))
        order = mixed_order(labels)
        return (images, labels) if order is None else (images[order], labels[order])


def _read(path: Path) -> Callable[[Path, RealSet, bool, Callable[[str], None]], Found]:
    """The reader of what lies at a path."""
    if path.is_file():
        return _npz if path.suffix.lower() == ".npz" else _shards
    if any(entry.name.lower().endswith(TAR_SUFFIXES) for entry in path.iterdir()):
        return _shards
    return _folder


@dataclass(frozen=True)
class _AsShards:
    """How a survey reads samples: as shards, none of which is a split."""

    format: str = "webdataset"
    splits: dict[str, list[str]] | None = field(default_factory=dict)
    classes: None = None
    names_encoding: None = None


def _shape(real: RealSet) -> tuple[int, int, int]:
    height, width, channels = real.train_images.shape[1:]
    return channels, height, width


def _check_count(path: Path, count: int, real: RealSet) -> None:
    fewest = max(_FEWEST, 2 * len(real.classes))
    if count < fewest:
        raise UserError(f"{path}: {count} images; scores need {fewest} or more")


def _check_labels(path: Path, labels: np.ndarray, classes: int) -> None:
    """Raises UserError for labels of other classes."""
    if labels.min() < 0 or labels.max() >= classes:
        wrong = int(labels[(labels < 0) | (labels >= classes)][0])
        raise UserError(f"{path}: label {wrong}; the data has classes 0 to {classes - 1}")


def _folder(folder: Path, real: RealSet, resize: bool, told: Callable[[str], None]) -> Found:
    inside = sorted(e for e in folder.iterdir() if e.is_dir() and not is_system(e.name))
    if not inside:
        files = image_files(folder)
        _check_count(folder, len(files), real)
        mixed = [files[row] for row in any_order(len(files))]
        return read_images(mixed, _shape(real), resize), None
    if any(file.parent == folder for file in image_files(folder)):
        raise UserError(f"{folder}: images beside class folders; put them into one of these")
    labels, how = class_numbers([entry.name for entry in inside], real.classes, folder)
    told(f"{len(inside)} class folders, matched {how}")
    named: list[tuple[Path, int, Path]] = []
    for entry, label in zip(inside, labels, strict=True):
        named += [(file.relative_to(entry), label, file) for file in image_files(entry)]
    _check_count(folder, len(named), real)
    named.sort()
    images = read_images([file for _, _, file in named], _shape(real), resize)
    return images, np.asarray([label for _, label, _ in named], dtype=np.int64)


def class_numbers(
    names: Sequence[str], classes: tuple[str, ...], where: Path
) -> tuple[list[int], str]:
    """The class of each name: all by the names as they are, else all by the names whatever their
    case, else all by their numbers; and which of these. Raises UserError where none fits all."""
    exact = {normal(name): number for number, name in enumerate(classes)}
    loose: dict[str, list[int]] = {}
    for number, name in enumerate(classes):
        loose.setdefault(normal(name).casefold(), []).append(number)
    given = [normal(name) for name in names]
    if all(name in exact for name in given):
        return [exact[name] for name in given], "by their names"
    found = [loose.get(name.casefold(), []) for name in given]
    for name, one in zip(names, found, strict=True):
        if len(one) > 1:
            raise UserError(
                f"{shown(where / name)}: could be any of the classes "
                f"{listed(classes[n] for n in one)}, "
                "which differ in case only; name every class exactly as the data does"
            )
    if all(found):
        return [one[0] for one in found], "by their names, whatever the case"
    if all(n.isascii() and n.isdigit() and int(n) < len(classes) for n in given):
        return [int(name) for name in given], "by their numbers"
    unknown = next(name for name, one in zip(names, found, strict=True) if not one)
    raise UserError(
        f"{shown(where / unknown)}: no class of the data; there are {listed(classes, 12)}. "
        "Name all by "
        f"these, or all by their numbers, 0 to {len(classes) - 1}"
    )


def _npz(path: Path, real: RealSet, resize: bool, _: Callable[[str], None]) -> Found:
    with npz_damage_told(str(path)), npz(path) as archive:
        given = archive["arr_0"] if "arr_0" in archive.files else None
        labels = archive["arr_1"] if "arr_1" in archive.files else None
    if given is None or given.dtype != np.uint8 or given.ndim != 4 or given.shape[-1] not in (1, 3):
        what = "no arr_0" if given is None else f"arr_0 of {given.dtype} {list(given.shape)}"
        raise UserError(f"{path}: {what}; needed is arr_0, uint8 [N, H, W, 1 or 3]")
    if labels is not None and (labels.shape != given.shape[:1] or labels.dtype.kind not in "iu"):
        raise UserError(
            f"{path}: arr_1 of {labels.dtype} {list(labels.shape)}; labels are one integer for "
            f"each of {len(given)} images"
        )
    _check_count(path, len(given), real)
    if labels is None:
        return _fit(given[any_order(len(given))], real, resize, f"{path}: arr_0"), None
    return _fit(given, real, resize, f"{path}: arr_0"), labels.astype(np.int64)


def _shards(path: Path, real: RealSet, resize: bool, told: Callable[[str], None]) -> Found:
    _, height, width = _shape(real)
    side = height if resize and height == width else None
    with _by_options(), surveyed(path, _AsShards()) as survey:
        _require_all(path, survey.description, told)
        found = decode_webdataset(survey.local(), survey.plan, side, "error").train
        names = survey.description.classes if survey.plan.numbers is not None else None
    images, labels = np.asarray(found[0]), found[1]
    if names is not None:
        numbers, how = class_numbers(names, real.classes, path)
        told(f"{len(names)} classes of the shards, matched {how}")
        labels = np.asarray(numbers)[labels]
    _check_count(path, len(images), real)
    return _fit(images, real, resize, str(path)), labels


@contextmanager
def _by_options() -> Iterator[None]:
    """Inside it, a UserError advises this command's options, not a project's settings."""
    try:
        yield
    except UserError as error:
        advice = str(error)
        for setting, option in _ADVICE:
            advice = re.sub(setting, option, advice)
        raise UserError(advice) from error


def _require_all(path: Path, found: Description, told: Callable[[str], None]) -> None:
    """Tell of images that are left out. Raises UserError for shards that are."""
    for split in found.splits:
        if split.role == LEFT:
            raise UserError(
                f"{path}: {split.images:,} images of {shown(split.name)} would be left out "
                f"({split.why}): give them labels, or move them elsewhere"
            )
    for left in found.left_out:
        if left.images:
            told(f"not read: {left}")


def _fit(given: np.ndarray, real: RealSet, resize: bool, where: str) -> np.ndarray:
    """uint8 [N, h, w, c] as the real data's images are; RGB becomes grey as of a file."""
    channels, height, width = shape = _shape(real)
    if given.shape[1:] == (height, width, channels):
        return given
    images = np.empty((len(given), height, width, channels), np.uint8)
    for row, one in enumerate(given):
        images[row] = fitted(pillow(one), shape, resize, where)
    return images
