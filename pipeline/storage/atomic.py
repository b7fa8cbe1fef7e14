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
_REFUSED = _FULL | {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what lies there on leaving becomes `path`.

    Parent folders are made. On an exception the temporary file is removed and `path` stays as
    it was. The bytes are flushed to the disk before the rename, so that a power cut leaves the
    old file or the new one.

    Raises UserError where the disk is full or may not be written.
    """
    temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}-{path.name}"
    try:
        with refusals_told(path, temporary):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError, NotADirectoryError):
            temporary.unlink()


@contextmanager
def refusals_told(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Inside, `path` is written, by way of `temporary` if there is one.

    Raises UserError where their disk is full or may not be written.
    """
    try:
        yield
    except OSError as error:
        if not is_refusal(error) or error.filename not in (None, *_around(temporary or path)):
            raise
        raise UserError(f"{path} cannot be written: {refusal(error, path.parent)}") from error


def sweep(folder: Path) -> None:
    """Delete what writers that were killed left below a folder, more than a day ago."""
    for path in folder.rglob(f"{TEMPORARY_PREFIX}*"):
        with suppress(OSError):  # another may be sweeping too
            if _OF_A_WRITER.match(path.name) and time.time() - path.stat().st_mtime > _DAY_S:
                path.unlink()


def refusal(error: OSError, folder: Path) -> str:
    """Why nothing can be written below a folder, and what to do, for a message."""
    while not folder.is_dir():
        folder = folder.parent
    free = f"{shutil.disk_usage(folder).free / 1e6:,.0f} MB are free on that disk"
    return (
        f"{error.strerror} ({free}). Make room there, or mend the folder's rights, and run again: "
        "nothing is half written, and what was there before is as it was"
    )


def is_refusal(error: OSError) -> bool:
    """Whether a disk is full or may not be used: what a person can mend."""
    return error.errno in _REFUSED


def is_full(error: OSError) -> bool:
    """Whether a disk, or what may be used of it, is full."""
    return error.errno in _FULL


def _around(path: Path) -> list[str]:
    return [str(path), *map(str, path.parents)]


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """JSON for a person and for DVC's metrics; atomic."""
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())
