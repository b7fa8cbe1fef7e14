"""Samples of any origin, to be scored: a folder of images, ADM's npz, or WebDataset shards."""

import zipfile
from pathlib import Path
from typing import Protocol

import numpy as np

from pipeline.data.archives import is_webdataset_shard
from pipeline.data.collections import class_folders, decode_webdataset
from pipeline.data.image_files import fitted, image_files, read_images
from pipeline.errors import UserError

_FEWEST = 100

Found = tuple[np.ndarray, np.ndarray | None]


class RealSet(Protocol):
    """What samples have to fit: images uint8 [N, H, W, C], and the classes' names."""

    @property
    def train_images(self) -> np.ndarray: ...

    @property
    def classes(self) -> tuple[str, ...]: ...


def sample_set(path: Path, real: RealSet, resize: bool = False) -> Found:
    """Images uint8 [N, H, W, C] at a path, and their labels int64 [N] where it gives classes.

    Args:
        path: a folder per class, named as the real data's or by its number, or a flat folder; an
            .npz with `arr_0` [N, H, W, C] and perhaps labels in `arr_1`; a WebDataset shard, or a
            folder of them.
        real: what they have to fit.
        resize: crop to a square and resize what has another size, instead of refusing it.

    Images of a class folder's files come in the order of the files' names, whatever their class.
    Raises UserError for what cannot be read, unknown classes, images beside class folders, another
    size, too few images.
    """
    if path.is_file():
        images, labels = (_npz if path.suffix.lower() == ".npz" else _shards)(path, real, resize)
    elif any(is_webdataset_shard(entry) for entry in path.iterdir()):
        images, labels = _shards(path, real, resize)
    else:
        images, labels = _folder(path, real, resize)
    if labels is not None:
        _check_labels(path, labels, len(real.classes))
    return images, labels


def _shape(real: RealSet) -> tuple[int, int, int]:
    height, width, channels = real.train_images.shape[1:]
    return channels, height, width


def _check_count(path: Path, count: int, real: RealSet) -> None:
    fewest = max(_FEWEST, 2 * len(real.classes))
    if count < fewest:
        raise UserError(f"{path}: {count} images; scores need {fewest} or more")


def _check_labels(path: Path, labels: np.ndarray, classes: int) -> None:
    """Raises UserError for labels of other classes, and for a class with a lone image."""
    if labels.min() < 0 or labels.max() >= classes:
        wrong = int(labels[(labels < 0) | (labels >= classes)][0])
        raise UserError(f"{path}: label {wrong}; the data has classes 0 to {classes - 1}")
    counts = np.bincount(labels)
    if (counts == 1).any():
        raise UserError(
            f"{path}: 1 image of class {int(np.argmax(counts == 1))}; a class needs two or more"
        )


def _folder(folder: Path, real: RealSet, resize: bool) -> Found:
    inside = class_folders(folder)
    if not inside:
        files = image_files(folder)
        _check_count(folder, len(files), real)
        return read_images(files, _shape(real), resize), None
    if any(file.parent == folder for file in image_files(folder)):
        raise UserError(f"{folder}: images beside class folders; put them into one of these")
    named: list[tuple[Path, int, Path]] = []
    for entry in inside:
        found = image_files(entry)
        if len(found) < 2:
            raise UserError(f"{entry}: {len(found)} image; a class needs two or more")
        label = _class_of(entry, real.classes)
        named += [(file.relative_to(entry), label, file) for file in found]
    _check_count(folder, len(named), real)
    named.sort()
    images = read_images([file for _, _, file in named], _shape(real), resize)
    return images, np.asarray([label for _, label, _ in named], dtype=np.int64)


def _class_of(folder: Path, classes: tuple[str, ...]) -> int:
    names = [name.lower() for name in classes]
    if folder.name.lower() in names:
        return names.index(folder.name.lower())
    if folder.name.isdecimal() and int(folder.name) < len(classes):
        return int(folder.name)
    raise UserError(f"{folder}: no class of the data; there are {', '.join(classes)}")


def _npz(path: Path, real: RealSet, resize: bool) -> Found:
    try:
        with np.load(path, allow_pickle=False) as archive:
            given = archive["arr_0"] if "arr_0" in archive.files else None
            labels = archive["arr_1"] if "arr_1" in archive.files else None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: truncated, damaged, or not a plain .npz ({error})") from error
    if given is None or given.dtype != np.uint8 or given.ndim != 4 or given.shape[-1] not in (1, 3):
        what = "no arr_0" if given is None else f"arr_0 of {given.dtype} {list(given.shape)}"
        raise UserError(f"{path}: {what}; needed is arr_0, uint8 [N, H, W, 1 or 3]")
    if labels is not None and (labels.shape != given.shape[:1] or labels.dtype.kind not in "iu"):
        raise UserError(
            f"{path}: arr_1 of {labels.dtype} {list(labels.shape)}; labels are one integer for "
            f"each of {len(given)} images"
        )
    _check_count(path, len(given), real)
    images = _fit(given, real, resize, f"{path}: arr_0")
    return images, None if labels is None else labels.astype(np.int64)


def _shards(path: Path, real: RealSet, resize: bool) -> Found:
    found = decode_webdataset(path, None, "error")
    parts = [part for part in (found.train, found.test) if part is not None]
    images = np.concatenate([np.asarray(part[0]) for part in parts])
    labels = np.concatenate([part[1] for part in parts])
    _check_count(path, len(images), real)
    return _fit(images, real, resize, str(path)), labels


def _fit(given: np.ndarray, real: RealSet, resize: bool, where: str) -> np.ndarray:
    """uint8 [N, h, w, c] as the real data's images are; RGB becomes grey as of a file."""
    from PIL import Image

    channels, height, width = shape = _shape(real)
    if given.shape[1:] == (height, width, channels):
        return given
    images = np.empty((len(given), height, width, channels), np.uint8)
    for row, one in enumerate(given):
        image = Image.fromarray(one[..., 0] if one.shape[-1] == 1 else one)
        images[row] = fitted(image, shape, resize, where)
    return images
