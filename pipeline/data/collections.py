"""Decoders of many encoded images: a folder per class, Parquet tables and WebDataset shards."""

import io
import json
import re
import tarfile
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.data.archives import IMAGE_SUFFIXES, is_hidden, require_whole_tar
from pipeline.data.dataset import check_images, check_labels
from pipeline.data.decoded import SPLIT_SEED, Decoded
from pipeline.data.images import ImageCollector
from pipeline.errors import UserError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "val", "valid", "validation")
IMAGE_COLUMNS = ("image", "img", "images", "x", "png", "jpg", "jpeg")
LABEL_COLUMNS = ("label", "labels", "cls", "class", "y")
_PARQUET_ROWS = 64  # read at once
_SHARD_IMAGES = tuple(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES)


def split_folders(folder: Path) -> dict[str, Path]:
    """The first of `TRAIN_NAMES` and of `TEST_NAMES` among the subfolders, as `train` and
    `test`; empty without the former."""
    names = {entry.name.lower(): entry for entry in folder.iterdir() if entry.is_dir()}
    train, test = (
        next((names[name] for name in known if name in names), None)
        for known in (TRAIN_NAMES, TEST_NAMES)
    )
    return {split: f for split, f in (("train", train), ("test", test)) if f} if train else {}


def class_folders(folder: Path) -> list[Path]:
    """The visible subfolders, sorted by name."""
    return sorted(e for e in folder.iterdir() if e.is_dir() and not is_hidden(e.name))


def decode_folder(
    folder: Path, image_size: int | None, on_bad_image: str, square: bool = False
) -> Decoded:
    """A folder of images per class, optionally below `train/` and `test/` (or `val/`).

    Classes are the folders' names, sorted. Rows come in one fixed random order, since shards in
    the order of classes would give batches of one class.
    Raises UserError for an empty or unknown class, an unreadable image, or mixed sizes.
    """
    splits = split_folders(folder) or {"train": folder}
    classes = tuple(entry.name for entry in class_folders(splits["train"]))
    if not classes:
        raise UserError(f"{splits['train']}: no class folders in it; put each class in a folder")
    numbers = {name: number for number, name in enumerate(classes)}
    pairs, skipped, first = {}, 0, None
    for split, root in splits.items():
        collector = ImageCollector(image_size, on_bad_image, square, first)
        for path, name in _class_files(root):
            if name not in numbers:
                raise UserError(
                    f"{path.parent}: class {name!r} is not in {splits['train']}; rename it, or "
                    "add training images of it"
                )
            collector.add(path.read_bytes(), numbers[name], str(path))
        images, labels = collector.stack()
        first = collector.first
        order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
        pairs[split] = images[order], labels[order]
        skipped += collector.skipped
    return Decoded(pairs["train"], pairs.get("test"), classes, skipped)


def _class_files(root: Path) -> Iterator[tuple[Path, str]]:
    for folder in class_folders(root):
        files = sorted(
            path
            for path in folder.rglob("*")
            if path.suffix.lower() in IMAGE_SUFFIXES
            and path.is_file()
            and not any(is_hidden(part) for part in path.relative_to(folder).parts)
        )
        if not files:
            raise UserError(
                f"{folder}: no images in it ({', '.join(IMAGE_SUFFIXES)}); add some or remove it"
            )
        for path in files:
            yield path, folder.name


def files_by_split(path: Path, suffix: str) -> dict[str, list[Path]]:
    """Files with `suffix` at or below `path`, sorted, by split.

    A file belongs to test where a word of its relative path is `test` (or, where no file has
    that, another of `TEST_NAMES`); else to train.
    """
    if path.is_file():
        return {"train": [path]}
    files = sorted(
        p
        for p in path.rglob(f"*{suffix}")
        if p.is_file() and not any(is_hidden(part) for part in p.relative_to(path).parts)
    )
    words = {p: set(re.split(r"[^a-z]+", str(p.relative_to(path)).lower())) for p in files}
    for name in TEST_NAMES:
        test = [p for p in files if name in words[p]]
        if test:
            return {"train": [p for p in files if name not in words[p]], "test": test}
    return {"train": files}


def decode_parquet(
    path: Path, image_size: int | None, on_bad_image: str, square: bool = False
) -> Decoded:
    """Parquet files with a column of encoded images (bytes, or a struct with `bytes`) and a
    column of labels (integers, or names).

    Raises UserError for damaged files, missing columns, empty cells or unreadable images.
    """
    splits = files_by_split(path, ".parquet")
    names = sorted({name for files in splits.values() for file in files for name in _names(file)})
    numbers = {name: number for number, name in enumerate(names)}
    pairs, skipped, first = {}, 0, None
    for split, files in splits.items():
        collector = ImageCollector(image_size, on_bad_image, square, first)
        for content, label, where in (row for file in files for row in _parquet_rows(file)):
            if names and not isinstance(label, str):
                raise UserError(f"{where}: label {label!r} beside labels that are names; use one")
            collector.add(content, numbers[label] if names else int(label), where)
        images, labels = collector.stack()
        first = collector.first
        pairs[split] = images, check_labels(labels, len(images), str(path))
        skipped += collector.skipped
    return Decoded(pairs["train"], pairs.get("test"), tuple(names) or None, skipped)


def _names(path: Path) -> set[str]:
    """The labels of a file that are names; its images are not read."""
    with _parquet(path) as (file, _, label):
        batches = file.iter_batches(columns=[label])
        return {v for batch in batches for v in batch[label].to_pylist() if isinstance(v, str)}


def _parquet_rows(path: Path) -> Iterator[tuple[bytes, Any, str]]:
    row = 0
    with _parquet(path) as (file, image, label):
        for batch in file.iter_batches(batch_size=_PARQUET_ROWS, columns=[image, label]):
            for cell, value in zip(batch[image], batch[label].to_pylist(), strict=True):
                where = f"{path}: row {row}"
                content = cell.as_py()
                content = content.get("bytes") if isinstance(content, dict) else content
                if not isinstance(content, bytes) or not isinstance(value, int | str):
                    raise UserError(
                        f"{where}: {image} must hold the bytes of an image file and {label} an "
                        f"integer or a name; found {type(content).__name__} and {value!r}"
                    )
                yield content, value, where
                row += 1


@contextmanager
def _parquet(path: Path) -> "Iterator[tuple[pq.ParquetFile, str, str]]":
    """The open file, and its columns of images and of labels."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # A buffer of its own size lets a column come in pieces, not a row group at a time.
        with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
            columns = file.schema_arrow.names
            image = next((name for name in IMAGE_COLUMNS if name in columns), None)
            label = next((name for name in LABEL_COLUMNS if name in columns), None)
            if image is None or label is None:
                raise UserError(
                    f"{path}: columns {columns}; expected one of {list(IMAGE_COLUMNS)} with "
                    f"encoded images and one of {list(LABEL_COLUMNS)} with labels"
                )
            yield file, image, label
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: truncated or damaged Parquet ({error})") from error


def decode_webdataset(
    path: Path, image_size: int | None, on_bad_image: str, square: bool = False
) -> Decoded:
    """WebDataset shards: per sample one image and `cls` (or `json` with such a field), or
    blocks `x.npy` and `y.npy`.

    path: a shard or a folder of them. A shard is of the test split by a word in its name.
    Raises UserError for damaged shards, missing members, bad labels or unreadable images.
    """
    pairs, skipped, first = {}, 0, None
    for split, files in files_by_split(path, ".tar").items():
        collector = ImageCollector(image_size, on_bad_image, square, first)
        shapes: set[tuple[int, ...] | None] = set()
        for file in files:
            for sample in _shard_samples(file):
                shapes.add(_take_sample(sample, file, collector, shapes))
                if len(shapes) > 1:
                    raise UserError(f"{path}: both single images and blocks of them; use one")
        pairs[split] = collector.stack()
        first = collector.first
        skipped += collector.skipped
    return Decoded(pairs["train"], pairs.get("test"), None, skipped)


def _shard_samples(path: Path) -> Iterator[dict[str, Any]]:
    from webdataset.tariterators import group_by_keys, tar_file_expander

    require_whole_tar(path)
    try:
        with path.open("rb") as stream:
            yield from group_by_keys(tar_file_expander([{"url": str(path), "stream": stream}]))
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{path}: truncated or damaged shard ({error.args[0]})") from error


def _take_sample(
    sample: dict[str, Any],
    path: Path,
    collector: ImageCollector,
    shapes: Set[tuple[int, ...] | None],
) -> tuple[int, ...] | None:
    """Give a sample to the collector; returns the shape of an image in it if it is a block, else
    None. shapes: of the samples before it."""
    where = f"{path}: sample {sample['__key__']}"
    if "x.npy" in sample and "y.npy" in sample:
        try:
            images, labels = (
                np.load(io.BytesIO(sample[name]), allow_pickle=False) for name in ("x.npy", "y.npy")
            )
        except (ValueError, EOFError) as error:
            raise UserError(f"{where}: damaged block ({error})") from error
        images = check_images(images, where)
        shape = images.shape[1:]
        for other in shapes - {None, shape}:
            raise UserError(
                f"{where}: images of shape {list(shape)} beside {list(other or ())}; all must have "
                "one shape"
            )
        collector.add_rows(images, check_labels(labels, len(images), where), where)
        return shape
    image = next((name for name in _SHARD_IMAGES if name in sample), None)
    if image is None or not {"cls", "json"} & set(sample):
        members = sorted(name for name in sample if not name.startswith("__"))
        raise UserError(f"{where}: has {members}; expected an image (png, jpg, …) and cls")
    collector.add(sample[image], _sample_label(sample, where), where)
    return None


def _sample_label(sample: dict[str, Any], where: str) -> int:
    if "cls" in sample:
        text = sample["cls"].decode("ascii", "replace").strip()
        if text.isascii() and text.isdigit():
            return int(text)
        raise UserError(f"{where}: cls is {text!r}; it must be an integer from 0")
    try:
        fields = json.loads(sample["json"])
    except ValueError as error:
        raise UserError(f"{where}: json cannot be read ({error})") from error
    named = fields if isinstance(fields, dict) else {}
    label = next((named[name] for name in LABEL_COLUMNS if name in named), None)
    if type(label) is not int or label < 0:
        raise UserError(
            f"{where}: json must give the class as an integer from 0 in one of "
            f"{list(LABEL_COLUMNS)}; found {str(fields)[:100]}"
        )
    return label
