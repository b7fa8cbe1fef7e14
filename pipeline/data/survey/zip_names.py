"""The names of a zip's members: UTF-8 where they say so or all are, else of one code page."""

import unicodedata
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from pipeline.data.survey.names import listed, shortened
from pipeline.errors import UserError

_UTF8_FLAG, _UNICODE_PATH = 0x800, 0x7075


class Names:
    """The names of a zip's members, in whatever code page they are: one for all of them."""

    def __init__(
        self, path: Path, members: Iterable[zipfile.ZipInfo], encoding: str | None
    ) -> None:
        self._path, self._encoding = path, encoding
        unflagged = [m for m in members if not m.flag_bits & _UTF8_FLAG]
        raw = [_raw(m) for m in unflagged if not m.orig_filename.isascii()]
        if encoding is None:
            self._encoding = "utf-8" if all(map(_is_utf8, raw)) else "cp437"
        self._legacy = (
            [name.decode("cp437") for name in raw] if encoding is None and not self._utf8 else []
        )

    @property
    def _utf8(self) -> bool:
        """Whether the names are UTF-8, which many packers write and do not say."""
        return self._encoding == "utf-8"

    def of(self, member: zipfile.ZipInfo) -> str:
        """A member's name with slashes."""
        name = member.orig_filename
        if not member.flag_bits & _UTF8_FLAG and not name.isascii():
            name = self._decoded(_raw(member), member.extra)
        return name.split("\0")[0].replace("\\", "/")

    def _decoded(self, raw: bytes, extra: bytes) -> str:
        try:
            return _unicode_path(extra, raw) or raw.decode(self._encoding or "cp437")
        except (UnicodeDecodeError, LookupError) as error:
            raise UserError(
                f"{self._path}: data.names_encoding = {self._encoding!r} does not fit the name "
                f"{shortened(raw.decode('cp437'))!r} ({error}); others are cp437, gbk, shift_jis"
            ) from error

    def notes(self) -> list[str]:
        """What to tell of names that no flag explains."""
        if not self._legacy:
            return []
        folders = dict.fromkeys(
            part for name in self._legacy for part in name.split("/")[:-1] if not part.isascii()
        )
        readings = []
        for encoding in ("gbk", "shift_jis", "euc_kr", "cp1251", "cp1252"):
            one = next(iter(folders), self._legacy[0])
            try:
                text = one.encode("cp437").decode(encoding)
            except UnicodeDecodeError:
                continue
            if all(unicodedata.category(c)[0] in "LMN" or c in " -_" for c in text):
                readings.append(f"{text} in {encoding}")
        or_else = f" ({one} could be {', '.join(readings)})" if readings else ""
        return [
            "the zip does not say in which encoding its names are: read as cp437, "
            f"{listed(folders or self._legacy)}; data.names_encoding names another{or_else}"
        ]


def _raw(member: zipfile.ZipInfo) -> bytes:
    return member.orig_filename.encode("cp437")


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _unicode_path(extra: bytes, raw: bytes) -> str:
    """Info-ZIP's Unicode name, where it is there and belongs to this member; else ""."""
    while len(extra) >= 4:
        kind, size = int.from_bytes(extra[:2], "little"), int.from_bytes(extra[2:4], "little")
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and len(field) > 5:
            if int.from_bytes(field[1:5], "little") == zlib.crc32(raw):
                return field[5:].decode("utf-8", "replace")
    return ""
