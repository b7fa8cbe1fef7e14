"""Decoding what a survey found at a path."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data import array_files, cifar, collections
from pipeline.data.dataset import DataSettings
from pipeline.data.decoded import Decoded
from pipeline.data.images import ANY_SIDE, Sides, resize_all
from pipeline.data.scratch import Images
from pipeline.data.survey.description import Description
from pipeline.data.survey.forms import FORMATS
from pipeline.data.survey.surveying import Surveyed, Wanted, surveyed
from pipeline.errors import UserError
from pipeline.params.named_sets import NAMED

Heard = Callable[[Description], None]


def decode(
    path: Path,
    settings: DataSettings,
    where: str = "",
    heard: Heard = lambda _: None,
    sides: Sides = ANY_SIDE,
    wanted: Wanted = None,
) -> tuple[Decoded, Description]:
    """Decode what lies at `path`; returns it and its description.

    where: how messages call it, by default its path.
    heard: is told the description before anything is decoded, and may refuse it.
    sides: as of `ImageCollector`, for sets that are not known by name.
    wanted: which files of a folder there are, by their paths below it; None: all.
    Raises UserError, naming the file and the remedy, for anything that cannot be used.
    """
    if settings.format not in FORMATS:
        raise UserError(f"data.format is {settings.format!r}; allowed: {', '.join(FORMATS)}")
    if settings.on_bad_image not in ("error", "skip"):
        raise UserError(f"data.on_bad_image is {settings.on_bad_image!r}; allowed: error, skip")
    for field, value in (("classes", settings.classes), ("splits", settings.splits)):
        if value is not None and settings.name in NAMED:
            raise UserError(
                f"data.{field} is {value!r}, but {settings.name} has its own {field}; remove it, "
                "or set data.name: custom and data.source"
            )
    with surveyed(path, settings, where, wanted) as found:
        heard(found.description)
        root = found.local()
        try:
            decoded = read(found, root, settings, sides)
        except UserError as error:
            if found.listing.place == "folder":
                raise
            raise UserError(str(error).replace(f"{root}", _place(found))) from error
        if decoded.classes is None:
            decoded.classes = found.description.classes
    return decoded, found.description


def _place(found: Surveyed) -> str:
    """What a person calls the folder that the files lie in here."""
    where = found.listing.where
    return where if found.listing.place != "file" else str(Path(where).parent)


def read(found: Surveyed, root: Path, settings: DataSettings, sides: Sides) -> Decoded:
    """Decode what a survey planned, whose files lie in `root`. Raises UserError."""
    size, on_bad, plan = settings.image_size, settings.on_bad_image, found.plan
    sides = sides if settings.name not in NAMED else None
    if plan.form == "folder":
        return collections.decode_files(root, plan, size, on_bad, sides)
    if plan.form == "parquet":
        return collections.decode_parquet(root, plan, size, on_bad, sides)
    if plan.form == "webdataset":
        return collections.decode_webdataset(root, plan, size, on_bad, sides)
    paths = {name: root / path for name, path in plan.arrays.items()}
    if plan.form == "npz":
        decoded = array_files.decode_npz(paths["file"], size, sides)
        return _in_order(decoded, plan.numbers, found.description.classes)
    if plan.form == "idx":
        return array_files.decode_idx(paths, size, sides)
    readers = {"cifar": cifar.decode_cifar, "svhn": array_files.decode_svhn}
    return _resized(readers[plan.form](root / plan.root), size)


def _in_order(
    decoded: Decoded, numbers: Mapping[Any, int] | None, classes: tuple[str, ...] | None
) -> Decoded:
    """Labels as the numbers of their classes, which are in another order than the file has them."""
    if numbers is None:
        return decoded
    order = np.array([numbers[label] for label in range(len(numbers))])

    def put(part: tuple[Images, np.ndarray]) -> tuple[Images, np.ndarray]:
        images, labels = part
        known = labels < len(order)  # of others `class_names` tells
        return images, np.where(known, order[np.where(known, labels, 0)], labels)

    test = put(decoded.test) if decoded.test is not None else None
    return replace(decoded, train=put(decoded.train), test=test, classes=classes)


def _resized(decoded: Decoded, size: int | None) -> Decoded:
    def resize(part: tuple[Images, np.ndarray]) -> tuple[Images, np.ndarray]:
        return resize_all(np.asarray(part[0]), size), part[1]

    test = resize(decoded.test) if decoded.test is not None else None
    return replace(decoded, train=resize(decoded.train), test=test)
