"""Decoding what a survey found at a path."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.data import array_files, cifar, collections, manifest
from pipeline.data.dataset import DataSettings
from pipeline.data.decoded import Decoded
from pipeline.data.images import ANY_SIDE, Sides, resize_all
from pipeline.data.scratch import Images
from pipeline.data.survey.description import Description
from pipeline.data.survey.forms import FORMATS
from pipeline.data.survey.names import shown
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
        decoded = collections.decode_webdataset(root, plan, size, on_bad, sides)
        if (root / manifest.FILE).is_file():  # shards of our own know their classes' names
            decoded.classes = _own_classes(root)
        return decoded
    paths = {name: root / path for name, path in plan.arrays.items()}
    if plan.form == "npz":
        return array_files.decode_npz(paths["file"], size, sides)
    if plan.form == "idx":
        return array_files.decode_idx(paths, size, sides)
    readers = {"cifar": cifar.decode_cifar, "svhn": array_files.decode_svhn}
    return _resized(readers[plan.form](root / plan.root), size)


def _own_classes(root: Path) -> tuple[str, ...]:
    """The classes' names in a manifest of ours. Raises UserError, in one line."""
    try:
        return manifest.Manifest.load(root).classes
    except UserError as error:
        raise UserError(shown(" ".join(str(error).split()))) from error


def _resized(decoded: Decoded, size: int | None) -> Decoded:
    def resize(part: tuple[Images, np.ndarray]) -> tuple[Images, np.ndarray]:
        return resize_all(np.asarray(part[0]), size), part[1]

    test = resize(decoded.test) if decoded.test is not None else None
    return replace(decoded, train=resize(decoded.train), test=test)
