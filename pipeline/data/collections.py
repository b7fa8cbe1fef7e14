"""Decoders of many encoded images: a folder per class, Parquet tables and WebDataset shards."""

import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.archives import IMAGE_SUFFIXES, is_hidden, require_whole_tar
from pipeline.data.dataset import check_images, check_labels
from pipeline.data.decoded import SPLIT_SEED, Decoded
from pipeline.data.images import ImageCollector
from pipeline.errors import UserError

TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "val", "valid", "validation")
IMAGE_COLUMNS = ("image", "img", "images", "x", "png", "jpg", "jpeg")
LABEL_COLUMNS = ("label", "labels", "cls", "class", "y")
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


def decode_folder(folder: Path, image_size: int | None, on_bad_image: str) -> Decoded:
    """A folder of images per class, optionally below `train/` and `test/` (or `val/`).

    Classes are the folders' names, sorted. Rows come in one fixed random order, since shards in
    the order of classes would give batches of one class.
    Raises UserError for an empty or unknown class, an unreadable image, or mixed sizes.
    """
    splits = split_folders(folder) or {"train": folder}
    classes = tuple(entry.name for entry in class_folders(splits["train"]))
    if not classes:
        raise UserError(f"{splits['train']}: no class folders in it; put each class in a folder")
    pairs, skipped = {}, 0
    for split, root in splits.items():
        collector = ImageCollector(image_size, on_bad_image)
        for path, name in _class_files(root):
            if name not in classes:
                raise UserError(
                    f"{path.parent}: class {name!r} is not in {splits['train']}; rename it, or "
                    "add training images of it"
                )
            collector.add(path.read_bytes(), classes.index(name), str(path))
        images, labels = collector.stack()
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


def decode_parquet(path: Path, image_size: int | None, on_bad_image: str) -> Decoded:
    """Parquet files with a column of encoded images (bytes, or a struct with `bytes`) and a
    column of labels (integers, or names).

    Raises UserError for damaged files, missing columns, empty cells or unreadable images.
    """
    rows: dict[str, list[tuple[bytes, Any, str]]] = {}
    for split, files in files_by_split(path, ".parquet").items():
        rows[split] = [row for file in files for row in _parquet_rows(file)]
    names = sorted({label for part in rows.values() for _, label, _ in part if _is_name(label)})
    pairs, skipped = {}, 0
    for split, part in rows.items():
        collector = ImageCollector(image_size, on_bad_image)
        for content, label, where in part:
            if names and not _is_name(label):
                raise UserError(f"{where}: label {label!r} beside labels that are names; use one")
            collector.add(content, names.index(label) if names else int(label), where)
        images, labels = collector.stack()
        pairs[split] = images, check_labels(labels, len(images), str(path))
        skipped += collector.skipped
    return Decoded(pairs["train"], pairs.get("test"), tuple(names) or None, skipped)


def _is_name(label: Any) -> bool:
    return isinstance(label, str)


def _parquet_rows(path: Path) -> Iterator[tuple[bytes, Any, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            image = next((name for name in IMAGE_COLUMNS if name in columns), None)
            label = next((name for name in LABEL_COLUMNS if name in columns), None)
            if image is None or label is None:
                raise UserError(
                    f"{path}: columns {columns}; expected one of {list(IMAGE_COLUMNS)} with "
                    f"encoded images and one of {list(LABEL_COLUMNS)} with labels"
                )
            row = 0
            for batch in file.iter_batches(batch_size=1024, columns=[image, label]):
                pair = zip(batch[image].to_pylist(), batch[label].to_pylist(), strict=True)
                for cell, value in pair:
                    where = f"{path}: row {row}"
                    content = cell.get("bytes") if isinstance(cell, dict) else cell
                    if not isinstance(content, bytes) or not isinstance(value, int | str):
                        raise UserError(
                            f"{where}: {image} must hold the bytes of an image file and {label} an "
                            f"integer or a name; found {type(content).__name__} and {value!r}"
                        )
                    yield content, value, where
                    row += 1
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: truncated or damaged Parquet ({error})") from error


def decode_webdataset(path: Path, image_size: int | None, on_bad_image: str) -> Decoded:
    """WebDataset shards: per sample one image and `cls` (or `json` with such a field), or
    blocks `x.npy` and `y.npy`.

    path: a shard or a folder of them. A shard is of the test split by a word in its name.
    Raises UserError for damaged shards, missing members, bad labels or unreadable images.
    """
    pairs, skipped = {}, 0
    for split, files in files_by_split(path, ".tar").items():
        collector = ImageCollector(image_size, on_bad_image)
        blocks: list[tuple[np.ndarray, np.ndarray]] = []
        for file in files:
            for sample in _shard_samples(file):
                _take_sample(sample, file, collector, blocks)
        if blocks and collector.skipped + len(collector):
            raise UserError(f"{path}: both single images and blocks of them; use one")
        if blocks:
            images = np.concatenate([images for images, _ in blocks])
            pairs[split] = images, np.concatenate([labels for _, labels in blocks])
        else:
            pairs[split] = collector.stack()
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
    blocks: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    where = f"{path}: sample {sample['__key__']}"
    if "x.npy" in sample and "y.npy" in sample:
        try:
            images, labels = (
                np.load(io.BytesIO(sample[name]), allow_pickle=False) for name in ("x.npy", "y.npy")
            )
        except (ValueError, EOFError) as error:
            raise UserError(f"{where}: damaged block ({error})") from error
        images = check_images(images, where)
        if blocks and blocks[0][0].shape[1:] != images.shape[1:]:
            raise UserError(
                f"{where}: images of shape {list(images.shape[1:])} beside "
                f"{list(blocks[0][0].shape[1:])}; all must have one shape"
            )
        blocks.append((images, check_labels(labels, len(images), where)))
        return
    image = next((name for name in _SHARD_IMAGES if name in sample), None)
    if image is None or not {"cls", "json"} & set(sample):
        members = sorted(name for name in sample if not name.startswith("__"))
        raise UserError(f"{where}: has {members}; expected an image (png, jpg, …) and cls")
    collector.add(sample[image], _sample_label(sample, where), where)


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
