"""Decoders of many encoded images: files in folders, Parquet tables and WebDataset shards.

What is a class, a split or a sample, `pipeline.data.survey` has found; these do what it says.
"""

from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pipeline.data.dataset import check_images, check_labels
from pipeline.data.decoded import Decoded, any_order
from pipeline.data.images import ImageCollector, Sides
from pipeline.data.survey import samples, shards
from pipeline.data.survey.bounds import MOST_IMAGE_BYTES, require_bytes
from pipeline.data.survey.damage import damage_told
from pipeline.data.survey.description import Plan
from pipeline.data.survey.names import shortened, shown
from pipeline.data.survey.samples import BLOCK, Sample
from pipeline.data.survey.tables import Table
from pipeline.data.survey.tar_files import unpacked
from pipeline.errors import UserError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_PARQUET_ROWS = 64  # read at once
Numbers = Mapping[Any, int] | None


def decode_files(
    root: Path, plan: Plan, image_size: int | None, on_bad_image: str, sides: Sides = None
) -> Decoded:
    """The image files of a plan.

    Rows come in one fixed random order, since shards in the order of classes would give batches of
    one class.
    Raises UserError for an unreadable image, or mixed sizes.
    """
    pairs, skipped, first = {}, 0, None
    for split, files in plan.files.items():
        collector = ImageCollector(image_size, on_bad_image, sides, first)
        for name, label in files:
            path = root / name
            collector.add(_content(path), label, shown(path))
        images, labels = collector.stack()
        first = collector.first
        order = any_order(len(labels))
        pairs[split] = images[order], labels[order]
        skipped += collector.skipped
    return Decoded(pairs["train"], pairs.get("test"), None, skipped)


def _content(path: Path) -> bytes:
    try:
        require_bytes(path.stat().st_size, MOST_IMAGE_BYTES, shown(path))
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{shown(path)}: cannot be read ({error.strerror})") from error


def decode_parquet(
    root: Path, plan: Plan, image_size: int | None, on_bad_image: str, sides: Sides = None
) -> Decoded:
    """Parquet files with a column of encoded images (bytes, or a struct with `bytes`) and a
    column of labels (integers, or names).

    Raises UserError for damaged files, empty cells or unreadable images.
    """
    pairs, skipped, first = {}, 0, None
    for split, tables in plan.parts.items():
        collector = ImageCollector(image_size, on_bad_image, sides, first)
        for content, label, where in (row for table in tables for row in rows(root, table)):
            collector.add(content, plan.numbers[label] if plan.numbers else label, where)
        images, labels = collector.stack()
        first = collector.first
        pairs[split] = images, check_labels(labels, len(images), str(root))
        skipped += collector.skipped
    return Decoded(pairs["train"], pairs.get("test"), None, skipped)


def rows(root: Path, table: Table) -> Iterator[tuple[bytes, Any, str]]:
    """A table's encoded images, labels as they stand there, and where each stands."""
    path, row = root / table.path, 0
    with _parquet(path) as file:
        columns = [table.image, table.label]
        for batch in file.iter_batches(_PARQUET_ROWS, columns=columns, use_threads=False):
            for cell, label in zip(
                batch[table.image].to_pylist(), batch[table.label].to_pylist(), strict=True
            ):
                where = f"{shown(path)}: row {row}"
                content = cell.get("bytes") if isinstance(cell, dict) else cell
                if not isinstance(content, bytes) or not isinstance(label, int | str):
                    elsewhere = isinstance(cell, dict) and cell.get("path")
                    raise UserError(
                        f"{where}: {table.image} must hold the bytes of an image file and "
                        f"{table.label} an integer or a name; found {type(content).__name__} and "
                        f"{label!r}"
                        + (f" (only the path {shortened(elsewhere)})" if elsewhere else "")
                    )
                yield content, label, where
                row += 1


@contextmanager
def _parquet(path: Path) -> "Iterator[pq.ParquetFile]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    # A buffer of its own size lets a column come in pieces, not a row group at a time.
    with damage_told(f"{path}: truncated or damaged Parquet", "Write it again.", pa.ArrowException):
        with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
            yield file


def decode_webdataset(
    root: Path, plan: Plan, image_size: int | None, on_bad_image: str, sides: Sides = None
) -> Decoded:
    """WebDataset shards: per sample one image and its label, or blocks `x.npy` and `y.npy`.

    Raises UserError for damaged shards, bad labels or unreadable images.
    """
    pairs, skipped, first = {}, 0, None
    for split, parts in plan.parts.items():
        collector = ImageCollector(image_size, on_bad_image, sides, first)
        shapes: set[tuple[int, ...] | None] = set()
        for part in parts:
            path = root / part.path
            with path.open("rb") as raw:
                stream = unpacked(raw, path.name, str(path))
                for sample in samples.index(stream, part.path, str(path)).samples:
                    shape = _take(sample, stream, str(path), collector, shapes, plan.numbers)
                    shapes.add(shape)
        pairs[split] = collector.stack()
        first = collector.first
        skipped += collector.skipped
    return Decoded(pairs["train"], pairs.get("test"), None, skipped)


def _take(
    sample: Sample,
    stream: IO[bytes],
    where: str,
    collector: ImageCollector,
    shapes: Set[tuple[int, ...] | None],
    numbers: Numbers,
) -> tuple[int, ...] | None:
    """Give a sample to the collector; returns the shape of an image in it if it is a block, else
    None. shapes: of the samples before it."""
    label = shards.label_of(sample, stream, where)
    told = f"{where}: sample {shortened(sample.key)}"
    if sample.image is not None:
        content = shards.content(sample, sample.image, stream, where)
        collector.add(content, numbers[label] if numbers else label, told)
        return None
    images = check_images(shards.block(sample, BLOCK[0], stream, where), told)
    shape = images.shape[1:]
    for other in shapes - {None, shape}:
        raise UserError(
            f"{told}: images of shape {list(shape)} beside {list(other or ())}; all must have "
            "one shape"
        )
    collector.add_rows(images, check_labels(label, len(images), told), told)
    return shape
