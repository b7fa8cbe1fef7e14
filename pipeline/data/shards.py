"""WebDataset shards of blocks, read whole or as a stream; `shard_writer` writes them.

A shard is a tar of blocks; a block is `x.npy` (uint8 [B, H, W, C]) and `y.npy` (int64 [B]).
Blocks read some twenty times faster than one member per image.
"""

import hashlib
import tarfile
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from pipeline.data.ahead import ahead
from pipeline.data.manifest import REPAIR, Manifest, Shard, join
from pipeline.data.npy import array_of
from pipeline.data.opening import open_bytes
from pipeline.errors import UserError


class Batch(NamedTuple):
    """Rows of a split: rows int64 [B] (their numbers within it), images uint8 [B, H, W, C] and
    labels int64 [B]."""

    rows: np.ndarray
    images: np.ndarray
    labels: np.ndarray


def read_split(directory: str | Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """All of a split in row order: images uint8 [N, H, W, C] and labels int64 [N].

    directory: a local folder or an s3:// prefix. Memory: the split and one block.
    Raises UserError for a missing or corrupt shard, naming it.
    """
    manifest = Manifest.load(directory)
    whole = _empty(manifest, manifest.rows(split))
    for block in _blocks(directory, manifest, split):
        part = slice(block.rows[0], block.rows[-1] + 1)
        whole.images[part], whole.labels[part] = block.images, block.labels
    return whole.images, whole.labels


def in_order(directory: str | Path, split: str, batch_size: int) -> Iterator[Batch]:
    """A split in row order, `batch_size` rows at a time; the last batch may be smaller.

    directory: a local folder or an s3:// prefix. Memory: one batch and one block.
    Raises UserError for a missing or corrupt shard, naming it, once its last row was given.
    """
    return _cut(_blocks(directory, Manifest.load(directory), split), batch_size)


def stream(
    directory: str | Path,
    split: str,
    *,
    window: int,
    seed: int,
    batch_size: int,
    start: int = 0,
    stop: int | None = None,
    rank: int = 0,
    world_size: int = 1,
) -> Iterator[Batch]:
    """The batches of the steps from `start`, one epoch after the other, in exactly the order of
    `sgan.training.order.epoch_order`; rows that would not fill the last batch of an epoch are left
    out of it. The next group of shards is read while one is in use.

    directory: a local folder or an s3:// prefix.
    window: shards in a group, >= 1. Memory: this rank's rows of two groups, one batch, one block.
    batch_size: rows of a step over all ranks.
    start: the first step; groups of shards that lie before it are not read.
    stop: the step after the last one, beyond which nothing is read; None: there is none.
    rank, world_size: whose rows: every world_size-th one of each batch, from `rank` on.
    Raises UserError for a missing or corrupt shard, naming it, or sizes that cannot be.
    """
    manifest = Manifest.load(directory)
    rows = manifest.rows(split)
    if not (window >= 1 and start >= 0 and 1 <= batch_size <= rows and 0 <= rank < world_size):
        raise UserError(
            f"stream: window {window} must be at least 1, start {start} at least 0, batch_size "
            f"{batch_size} from 1 to the {rows} rows, and rank {rank} below {world_size}"
        )
    if batch_size % world_size:
        raise UserError(f"stream: batch_size {batch_size} must divide by {world_size} ranks")
    steps = rows // batch_size

    def groups() -> Iterator[Batch]:
        for epoch in count(start // steps):
            first = max(start - epoch * steps, 0)
            last = steps if stop is None else min(stop - epoch * steps, steps)
            if last <= 0:
                return
            part = range(first * batch_size + rank, last * batch_size, world_size)
            yield from _groups(directory, manifest, split, (window, seed, epoch), part)

    return _cut(ahead(groups()), batch_size // world_size)


def _cut(pieces: Iterable[Batch], size: int) -> Iterator[Batch]:
    """The rows of `pieces` in batches of `size` (views where one piece holds them all)."""
    held: list[Batch] = []
    lacking = size
    for piece in pieces:
        start = 0
        while start < len(piece.rows):
            part = slice(start, start + lacking)
            held.append(Batch(*(array[part] for array in piece)))
            start += len(held[-1].rows)
            lacking -= len(held[-1].rows)
            if not lacking:
                yield _joined(held)
                held, lacking = [], size
    if held:
        yield _joined(held)


def _joined(pieces: list[Batch]) -> Batch:
    if len(pieces) == 1:
        return pieces[0]
    return Batch(*(np.concatenate(arrays) for arrays in zip(*pieces, strict=True)))


def _empty(manifest: Manifest, rows: int) -> Batch:
    channels, height, width = manifest.image_shape
    images = np.empty((rows, height, width, channels), np.uint8)
    return Batch(np.empty(rows, np.int64), images, np.empty(rows, np.int64))


def _groups(
    directory: str | Path,
    manifest: Manifest,
    split: str,
    order_of: tuple[int, int, int],
    part: range,
) -> Iterator[Batch]:
    """The rows at the places `part` of an epoch's order, a group of shards at a time.

    order_of: window, seed and epoch, as `epoch_order` takes them.
    """
    from sgan.training.order import epoch_order

    window, shards, sizes = order_of[0], manifest.shards(split), manifest.shard_sizes(split)
    starts = np.cumsum(sizes) - sizes
    order = epoch_order(sizes, *order_of)
    shard_of = np.searchsorted(starts, order, side="right") - 1
    # The order visits groups whole, so the shards' first appearances give the groups.
    found, first = np.unique(shard_of, return_index=True)
    visited = found[np.argsort(first)]
    done = 0
    for at in range(0, len(visited), window):
        group = visited[at : at + window]
        begin, done = done, done + sum(sizes[member] for member in group)
        wanted = order[_within(part, begin, done)]
        if len(wanted):
            members = [(int(starts[member]), shards[member]) for member in group]
            yield _gathered(directory, manifest, members, wanted)


def _within(part: range, begin: int, end: int) -> slice:
    """The places of `part` from `begin` to before `end`."""
    first = max(part.start, begin + (part.start - begin) % part.step)
    return slice(first, min(part.stop, end), part.step)


def _gathered(
    directory: str | Path,
    manifest: Manifest,
    members: list[tuple[int, Shard]],
    wanted: np.ndarray,
) -> Batch:
    """The rows `wanted` out of shards, each given with its first row, in the order of `wanted`.
    Memory: these rows and one block."""
    gathered = _empty(manifest, len(wanted))
    gathered.rows[:] = wanted
    places = np.argsort(wanted)
    ascending = wanted[places]
    for start, shard in members:
        begin, end = np.searchsorted(ascending, (start, start + shard.rows))
        if begin == end:
            continue
        for row, images, labels in _read_shard(directory, manifest, shard):
            edges = (start + row, start + row + len(labels))
            begin, end = np.searchsorted(ascending, edges)
            here = ascending[begin:end] - edges[0]
            gathered.images[places[begin:end]] = images[here]
            gathered.labels[places[begin:end]] = labels[here]
    return gathered


def _blocks(directory: str | Path, manifest: Manifest, split: str) -> Iterator[Batch]:
    start = 0
    for shard in manifest.shards(split):
        for row, images, labels in _read_shard(directory, manifest, shard):
            first = start + row
            yield Batch(np.arange(first, first + len(labels)), images, labels)
        start += shard.rows


class _Hashing:
    """A read-only stream that hashes all that passes through it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        self.sha256.update(content)
        return content

    def digest(self) -> str:
        """The digest of the whole stream: tar readers stop before the padding at its end."""
        while self.read(1 << 16):
            pass
        return self.sha256.hexdigest()


def _read_shard(
    directory: str | Path, manifest: Manifest, shard: Shard
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """The blocks of a shard: the row that each begins at, images and labels. The file's digest is
    checked after the last: until then they may be anything that fits the manifest."""
    from webdataset.tariterators import group_by_keys, tar_file_expander

    address = join(directory, shard.shard)
    channels, height, width = manifest.image_shape
    row, problem = 0, ""
    try:
        with open_bytes(address) as raw:
            hashing = _Hashing(raw)
            samples = group_by_keys(tar_file_expander([{"url": address, "stream": hashing}]))
            while True:
                # A corrupt file can raise nearly anything while it is decoded; the digest tells
                # afterwards whether it was.
                try:
                    sample = next(samples, None)
                    if sample is None:
                        break
                    images, labels = _decoded(sample, (height, width, channels), shard.rows - row)
                except (tarfile.TarError, ValueError, KeyError, EOFError, OSError) as error:
                    problem = str(error)
                    break
                yield row, images, labels
                row += len(labels)
            intact = hashing.digest() == shard.sha256
    except FileNotFoundError as error:
        raise UserError(f"{address} does not exist. {REPAIR}") from error
    if not intact:
        raise UserError(
            f"{address} is corrupt: its sha256 is not the manifest's {shard.sha256}. {REPAIR}"
        )
    if problem or row != shard.rows:
        problem = problem or f"{row} rows, expected {shard.rows}"
        raise UserError(f"{address} does not fit its manifest: {problem}. {REPAIR}")


def _decoded(
    sample: dict[str, Any], shape: tuple[int, int, int], most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of a block. Raises ValueError where they do not fit the manifest."""
    images, labels = (array_of(sample[name]) for name in ("x.npy", "y.npy"))
    if images.dtype != np.uint8 or images.shape[1:] != shape or labels.shape != images.shape[:1]:
        raise ValueError(f"a block of {images.dtype} {images.shape} and labels {labels.shape}")
    if not 1 <= len(labels) <= most:
        raise ValueError(f"a block of {len(labels)} rows where {most} are left")
    return images, labels
