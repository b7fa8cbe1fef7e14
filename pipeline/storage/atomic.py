"""Files that appear whole or not at all."""

import errno
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

TEMPORARY_PREFIX = ".tmp-"
_OF_A_WRITER = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}[0-9a-f]{{32}}-")
_DAY_S = 24 * 3600
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_RIGHTS = {errno.EACCES, errno.EPERM, errno.EROFS}
_FILE_THERE = {errno.ENOTDIR, errno.EEXIST}
_AGAIN = "and run again: nothing is half written, and what was there before is as it was"
_REFUSED = _FULL | _RIGHTS | _FILE_THERE | {errno.EISDIR}


@contextmanager
def atomic_path(path: Path, needed: int | None = None) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what lies there on leaving becomes `path`.

    Parent folders are made. On an exception the temporary file is removed and `path` stays as
    it was. The bytes are flushed to the disk before the rename, so that a power cut leaves the
    old file or the new one.

    needed: bytes that it will have, for the message where there is no room for them.
    Raises UserError where the disk is full or may not be written, or something else is in the way.
    """
    temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}-{path.name}"
    try:
        with refusals_told(path, temporary, needed):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        with suppress(OSError):  # it is not there, or its disk may not be written
            temporary.unlink()


@contextmanager
def refusals_told(
    path: Path, temporary: Path | None = None, needed: int | None = None
) -> Iterator[None]:
    """Inside, `path` is written, by way of `temporary` if there is one.

    Raises UserError where their disk is full or may not be written, or something else is there.
    """
    try:
        yield
    except OSError as error:
        if not is_refusal(error) or error.filename not in (None, *_around(temporary or path)):
            raise
        shown = final(path)
        raise UserError(f"{shown} cannot be written: {refusal(error, shown, needed)}") from error


def sweep(folder: Path) -> None:
    """Delete what writers that were killed left below a folder, more than a day ago."""
    for path in folder.rglob(f"{TEMPORARY_PREFIX}*"):
        with suppress(OSError):  # another may be sweeping too
            if _OF_A_WRITER.match(path.name) and time.time() - path.stat().st_mtime > _DAY_S:
                path.unlink()


def refusal(error: OSError, path: Path, needed: int | None = None) -> str:
    """Why a file cannot be used, and what to do, for a message.

    Args:
        error: one for which `is_refusal` holds.
        path: of the file.
        needed: bytes of it, where they are known.
    """
    if is_full(error):
        return no_room(error, path.parent, needed)
    if error.errno in _RIGHTS:
        return f"{error.strerror}. Mend the rights there, or name another place, {_AGAIN}"
    if error.errno == errno.EISDIR:
        return f"a folder lies where a file belongs. Move it away, {_AGAIN}"
    above = (one for one in path.parents if one.exists() and not one.is_dir())
    return f"{next(above, path)} is a file, where a folder belongs. Move it away, {_AGAIN}"


def free_bytes(folder: Path) -> int:
    """What is free on the disk on which a folder lies, or will."""
    while not folder.is_dir():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def no_room(error: OSError, folder: Path, needed: int | None = None) -> str:
    """The reason and the remedy where the disk below a folder is full."""
    room = f"{free_bytes(folder) / 1e6:,.1f} MB are free on that disk"
    if needed is not None:
        room += f", {needed / 1e6:,.1f} MB are needed"
    return f"{error.strerror} ({room}). Make room there, {_AGAIN}"


def final(path: Path) -> Path:
    """What a writer's temporary file becomes; any other file as it is."""
    return path.with_name(_OF_A_WRITER.sub("", path.name))


def is_refusal(error: OSError) -> bool:
    """Whether a disk is full or may not be used, or a file lies where a folder belongs or the other
    way round: what a person can mend."""
    return error.errno in _REFUSED


def is_full(error: OSError) -> bool:
    """Whether a disk, or what may be used of it, is full."""
    return error.errno in _FULL


def _around(path: Path) -> list[str]:
    return [str(path), *map(str, path.parents)]


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with atomic_path(path, len(content)) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """JSON for a person and for DVC's metrics; atomic."""
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())
