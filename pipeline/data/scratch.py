"""Decoded images on the disk: sets larger than memory pass through a file without a name."""

import os
import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np

from pipeline.errors import UserError
from pipeline.paths import cache_dir

PIECE_BYTES = 1 << 22


class _Unnamed:
    """A file without a name in the cache's folder, closed when nobody reads it any more."""

    def __init__(self) -> None:
        cache_dir().mkdir(parents=True, exist_ok=True)
        self.stream: Any = tempfile.TemporaryFile(dir=cache_dir(), buffering=1 << 20)

    def __del__(self) -> None:
        self.stream.close()


@dataclass(frozen=True, eq=False)
class StoredImages:
    """Images uint8 [N, H, W, C] in a file, read when they are asked for.

    `images[rows]` (a slice, a mask or row numbers) are such images again, and nothing is read;
    `np.asarray(images)` reads them.

    Attributes:
        file: holds each row as C-ordered bytes, grey ones as one channel.
        offsets: int64 [N], where each row begins.
        depths: int64 [N], channels of each row in the file.
        size: (H, W).
        channels: C, 1 or 3; grey rows are repeated to it.
    """

    file: _Unnamed
    offsets: np.ndarray
    depths: np.ndarray
    size: tuple[int, int]
    channels: int

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """[N, H, W, C]."""
        return (len(self), *self.size, self.channels)

    def __getitem__(self, key: slice | np.ndarray) -> "StoredImages":
        return replace(self, offsets=self.offsets[key], depths=self.depths[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("images in a file cannot be had without a copy")
        images = np.empty(self.shape, np.uint8)
        for start, stop in self._runs():
            depth = int(self.depths[start])
            length = (stop - start) * depth * self.size[0] * self.size[1]
            content = os.pread(self.file.stream.fileno(), length, int(self.offsets[start]))
            rows = np.frombuffer(content, np.uint8).reshape(-1, *self.size, depth)
            images[start:stop] = rows
        return images if dtype is None else images.astype(dtype, copy=False)

    def _runs(self) -> Iterator[tuple[int, int]]:
        """Rows that lie in the file one after the other, alike in depth, and not too many."""
        lengths = self.depths * (self.size[0] * self.size[1])
        follows = self.offsets[:-1] + lengths[:-1] == self.offsets[1:]
        breaks = np.flatnonzero(~(follows & (self.depths[:-1] == self.depths[1:]))) + 1
        edges = [0, *breaks.tolist(), len(self)] if len(self) else [0]
        for start, stop in pairwise(edges):
            most = max(1, PIECE_BYTES // int(lengths[start]))
            yield from ((at, min(at + most, stop)) for at in range(start, stop, most))


Images = np.ndarray | StoredImages


def pieces(values: Images, most_bytes: int = PIECE_BYTES) -> Iterator[np.ndarray]:
    """The rows of an array [N, ...], in order, as arrays of about `most_bytes` or of one row."""
    size = int(np.prod(values.shape[1:])) * values.dtype.itemsize
    most = max(1, most_bytes // max(1, size))
    for start in range(0, len(values), most):
        yield np.asarray(values[start : start + most])


def in_colour(images: Images, channels: int) -> Images:
    """Grey images [N, H, W, 1] repeated to `channels`; others as they are."""
    if images.shape[3] >= channels:
        return images
    if isinstance(images, StoredImages):
        return replace(images, channels=channels)
    return np.repeat(images, channels, axis=3)


class Scratch:
    """Takes images of any size, in order, and keeps them in a file without a name in the cache's
    folder: however this process ends, nothing is left of it. Memory: 12 bytes an image."""

    def __init__(self) -> None:
        self._file: _Unnamed | None = None
        self._end = 0
        self._offsets, self._kinds = array("q"), array("i")
        self._shapes: dict[tuple[int, ...], int] = {}

    def __len__(self) -> int:
        return len(self._offsets)

    def append(self, images: np.ndarray) -> None:
        """Add uint8 [n, H, W, C]. Raises UserError where the disk is full."""
        kind = self._shapes.setdefault(images.shape[1:], len(self._shapes))
        size = int(np.prod(images.shape[1:]))
        try:
            if self._file is None:
                self._file = _Unnamed()
            self._file.stream.write(np.ascontiguousarray(images).data)
        except OSError as error:
            self._no_room(error)
        self._offsets.extend(range(self._end, self._end + size * len(images), size))
        self._kinds.extend([kind] * len(images))
        self._end += size * len(images)

    def sizes(self) -> np.ndarray:
        """int64 [N]: the number of each row's size (H, W); sizes count in the order in which they
        first came."""
        numbers: dict[tuple[int, ...], int] = {}
        of_kind = [numbers.setdefault(shape[:2], len(numbers)) for shape in self._shapes]
        return np.asarray(of_kind, np.int64)[np.asarray(self._kinds, np.int64)]

    def images(self, rows: np.ndarray) -> StoredImages:
        """The rows (a mask), which must be of one size and one or more."""
        assert self._file is not None
        try:
            self._file.stream.flush()
        except OSError as error:
            self._no_room(error)
        kinds = np.asarray(self._kinds, np.int64)[rows]
        shapes = list(self._shapes)
        depths = np.asarray([shape[2] for shape in shapes], np.int64)[kinds]
        offsets = np.asarray(self._offsets, np.int64)[rows]
        height, width, _ = shapes[kinds[0]]
        return StoredImages(self._file, offsets, depths, (height, width), int(depths.max()))

    def _no_room(self, error: OSError) -> NoReturn:
        if self._file is not None:
            # Below its buffer, or what is left in that would be tried again at the end.
            self._file.stream.raw.close()
        raise UserError(
            f"{cache_dir()}: decoded images cannot be kept there ({error.strerror}). Make room, or "
            "let SGAN_CACHE name a folder on a larger disk."
        ) from error
