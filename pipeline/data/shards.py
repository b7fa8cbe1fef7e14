"""WebDataset shards of blocks, read whole or as a stream; `shard_writer` writes them.

A shard is a tar of blocks; a block is `x.npy` (uint8 [B, H, W, C]) and `y.npy` (int64 [B]).
Blocks read some twenty times faster than one member per image.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from pipeline.data.manifest import REPAIR, Manifest, Shard, join
from pipeline.data.opening import open_bytes
from pipeline.errors import UserError


def read_split(directory: str | Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """All of a split in row order: images uint8 [N, H, W, C] and labels int64 [N].

    directory: a local folder or an s3:// prefix. Memory: the split and one block.
    Raises UserError for a missing or corrupt shard, naming it.
    """
    manifest = Manifest.load(directory)
    channels, height, width = manifest.image_shape
    rows = manifest.rows(split)
    images = np.empty((rows, height, width, channels), np.uint8)
    labels = np.empty(rows, np.int64)
    start = 0
    for shard in manifest.shards(split):
        stop = start + shard.rows
        _read_shard(join(directory, shard.shard), shard, images[start:stop], labels[start:stop])
        start = stop
    return images, labels


class Batch(NamedTuple):
    """Consecutive rows of an epoch: rows int64 [B] (numbers within the split), images uint8
    [B, H, W, C] and labels int64 [B]."""

    rows: np.ndarray
    images: np.ndarray
    labels: np.ndarray


def stream(
    directory: str | Path,
    split: str,
    *,
    window: int,
    seed: int,
    epoch: int,
    batch_size: int,
    skip: int = 0,
) -> Iterator[Batch]:
    """Batches of one epoch in exactly the order of `sgan.training.order.epoch_order`.

    directory: a local folder or an s3:// prefix.
    window: shards in memory at once, >= 1 (beside them, one batch and one block).
    batch_size: rows per batch; the last batch of the epoch may be smaller.
    skip: rows of the epoch to leave out at the start, to resume; groups of shards that fall in it
        whole are not read.
    Raises UserError for a missing or corrupt shard, naming it, or a size below 1.
    """
    from sgan.training.order import epoch_order

    if window < 1 or batch_size < 1 or skip < 0:
        raise UserError(
            f"stream: window {window} and batch_size {batch_size} must be at least 1, and skip "
            f"{skip} at least 0"
        )
    manifest = Manifest.load(directory)
    sizes = manifest.shard_sizes(split)
    order = epoch_order(sizes, window, seed, epoch)
    held = Batch(order[:0], *_empty(manifest, 0))
    for rows, images, labels, places in _groups(directory, manifest, split, order, window, skip):
        position = 0
        while position < len(rows):
            part = slice(position, position + batch_size - len(held.rows))
            piece = Batch(rows[part], images[places[part]], labels[places[part]])
            held = _joined(held, piece)
            position = part.stop
            if len(held.rows) == batch_size:
                yield held
                held = Batch(order[:0], *_empty(manifest, 0))
    if len(held.rows):
        yield held


def _joined(first: Batch, second: Batch) -> Batch:
    if not len(first.rows):
        return second
    return Batch(*(np.concatenate(pair) for pair in zip(first, second, strict=True)))


def _empty(manifest: Manifest, rows: int) -> tuple[np.ndarray, np.ndarray]:
    channels, height, width = manifest.image_shape
    return np.empty((rows, height, width, channels), np.uint8), np.empty(rows, np.int64)


def _groups(
    directory: str | Path, manifest: Manifest, split: str, order: np.ndarray, window: int, skip: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """For each group of `window` shards: its rows in the order of `order` (without the first
    `skip` of the epoch), the group's images and labels, and the rows' places among these.

    The images and labels are buffers that the next group overwrites.
    """
    shards = manifest.shards(split)
    sizes = np.asarray(manifest.shard_sizes(split))
    starts = np.cumsum(sizes) - sizes
    shard_of = np.searchsorted(starts, order, side="right") - 1
    # The order visits groups whole, so the shards' first appearances give the groups.
    found, first = np.unique(shard_of, return_index=True)
    visited = found[np.argsort(first)]
    groups = [visited[i : i + window] for i in range(0, len(visited), window)]
    images, labels = _empty(manifest, int(max(sizes[group].sum() for group in groups)))
    done = 0
    for group in groups:
        part = slice(max(done, skip), done + int(sizes[group].sum()))
        done = part.stop
        if part.start >= part.stop:
            continue
        shift = np.zeros(len(shards), np.int64)
        offset = 0
        for member in group:
            shard, stop = shards[member], offset + shards[member].rows
            address = join(directory, shard.shard)
            _read_shard(address, shard, images[offset:stop], labels[offset:stop])
            shift[member] = offset - starts[member]
            offset = stop
        rows = order[part]
        yield rows, images, labels, rows + shift[shard_of[part]]


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


def _read_shard(address: str, shard: Shard, images: np.ndarray, labels: np.ndarray) -> None:
    """Fill `images` and `labels` (one shard's rows) and check the file's digest."""
    try:
        with open_bytes(address) as raw:
            hashing = _Hashing(raw)
            problem = _fill(hashing, address, images, labels)
            intact = hashing.digest() == shard.sha256
    except FileNotFoundError as error:
        raise UserError(f"{address} does not exist. {REPAIR}") from error
    if not intact:
        raise UserError(
            f"{address} is corrupt: its sha256 is not the manifest's {shard.sha256}. {REPAIR}"
        )
    if problem:
        raise UserError(f"{address} does not fit its manifest: {problem}. {REPAIR}")


def _fill(stream: _Hashing, address: str, images: np.ndarray, labels: np.ndarray) -> str:
    """Decode the blocks; returns what is wrong with them, or ''. A corrupt file can raise nearly
    anything while it is decoded; the digest tells afterwards whether it was."""
    from webdataset.tariterators import group_by_keys, tar_file_expander

    row = 0
    try:
        for sample in group_by_keys(tar_file_expander([{"url": address, "stream": stream}])):
            block = np.load(io.BytesIO(sample["x.npy"]), allow_pickle=False)
            stop = row + len(block)
            images[row:stop] = block
            labels[row:stop] = np.load(io.BytesIO(sample["y.npy"]), allow_pickle=False)
            row = stop
    except (tarfile.TarError, ValueError, KeyError, EOFError, OSError) as error:
        return str(error)
    return "" if row == len(labels) else f"{row} rows, expected {len(labels)}"
