"""A tar as a stream: unpacked where it is packed, whole, its members one after the other."""

import bz2
import gzip
import io
import lzma
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from pipeline.data.survey.bounds import MOST_PADDING, MOST_XZ_BYTES, require_ratio
from pipeline.data.survey.damage import DAMAGED, reason
from pipeline.errors import UserError
from pipeline.paths import cache_dir
from pipeline.storage.atomic import is_full

_TAR_END = 1024
_PIECE = 1 << 20
_ZEROS = bytes(_PIECE)


@dataclass(frozen=True)
class Place:
    """Where a member's bytes lie in the (unpacked) shard."""

    start: int
    size: int


class Sought(io.RawIOBase):
    """Bytes of which any can be had, as a stream that can be sought in.

    Args:
        size: in bytes.
        give: as many bytes as asked for, or fewer where more are there, from a position on.
    """

    def __init__(self, size: int, give: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self._size, self._give, self._at = size, give, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any stream."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative position {base + offset}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """As of any stream. Raises what `give` raises."""
        content = self._give(self._at, max(0, min(len(buffer), self._size - self._at)))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


def section(stream: IO[bytes], place: Place) -> io.RawIOBase:
    """A member's bytes, as a stream of their own."""

    def give(at: int, count: int) -> bytes:
        stream.seek(place.start + at)
        return stream.read(count)

    return Sought(place.size, give)


def unpacked(stream: IO[bytes], name: str, where: str) -> IO[bytes]:
    """A tar as a seekable stream: itself, or for .tar.gz and its kin a file without a name that it
    is unpacked to. Content decides, not the suffix.

    Raises UserError for a damaged or hostile one, and for a full disk.
    """
    packed_size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(6)
    stream.seek(0)
    pieces: Iterator[bytes] | None = None
    if head.startswith(b"\x1f\x8b"):
        pieces = _pieces(gzip.GzipFile(fileobj=stream, mode="rb"))
    elif head.startswith(b"BZh"):
        pieces = _pieces(bz2.BZ2File(stream))
    elif head.startswith(b"\xfd7zXZ\0"):
        pieces = _from_xz(stream)
    if pieces is None:
        if head.startswith(b"\x28\xb5\x2f\xfd"):
            raise UserError(f"{where}: packed by Zstandard, which is not read: unzstd {name}")
        return stream
    cache_dir().mkdir(parents=True, exist_ok=True)
    target = tempfile.TemporaryFile(dir=cache_dir())
    try:
        for piece in pieces:
            target.write(piece)
            require_ratio(packed_size, target.tell(), where)
    except DAMAGED as error:
        if isinstance(error, OSError) and is_full(error):
            raise UserError(
                f"{where}: no room in {cache_dir()} to unpack it. Make room, or let SGAN_CACHE "
                "name a folder on a larger disk"
            ) from error
        raise UserError(
            f"{where}: truncated or damaged archive ({reason(error)}). Fetch or pack it again."
        ) from error
    target.seek(0)
    return target


def _pieces(stream: io.BufferedIOBase) -> Iterator[bytes]:
    """All of a stream."""
    while piece := stream.read(_PIECE):
        yield piece


def _from_xz(stream: IO[bytes]) -> Iterator[bytes]:
    """What an .xz of one or several streams unpacks to. Raises LZMAError where that takes more
    memory than `MOST_XZ_BYTES`, which lzma.open does not bound, and EOFError for one cut off."""
    rest = b""
    while rest := (rest or stream.read(_PIECE)):
        if not (rest := rest.lstrip(b"\0")):  # padding behind a stream
            continue
        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_XZ_BYTES)
        while not decoder.eof:
            if decoder.needs_input and not rest and not (rest := stream.read(_PIECE)):
                raise EOFError("it ends in the middle of a stream")
            yield decoder.decompress(rest, _PIECE)
            rest = b""
        rest = decoder.unused_data


def require_whole(stream: IO[bytes], where: str) -> None:
    """Raise UserError where an uncompressed tar does not end as tars do, with two blocks of zeros.
    Readers take one that was cut between two members, or in a header, for a shorter one."""
    end = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, end - _TAR_END))
    tail = stream.read()
    stream.seek(0)
    if len(tail) < _TAR_END or any(tail):
        raise UserError(
            f"{where}: truncated tar: it breaks off at byte {end}, without the zeros that end one. "
            "Fetch or pack it again."
        )


def members_of(stream: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """The members of an uncompressed tar, none of which is kept: it may have millions. Raises what
    `tarfile` raises on a damaged one, and ReadError for what it would pass over: anything but
    `MOST_PADDING` zeros behind the last member."""
    archive = tarfile.open(fileobj=stream, mode="r:")
    while (member := archive.next()) is not None:
        archive.members.clear()  # type: ignore[attr-defined]
        yield member
    at = stream.seek(archive.offset)
    while piece := stream.read(_PIECE):
        if at - archive.offset >= MOST_PADDING:
            raise tarfile.ReadError(f"zeros and no end from byte {archive.offset} on")
        if not _ZEROS.startswith(piece):
            at += len(piece) - len(piece.lstrip(b"\0"))
            raise tarfile.ReadError(
                f"more at byte {at}, behind its last member: a damaged header, or a second tar, as "
                "after `cat`; `tar -A` joins two"
            )
        at += len(piece)
