"""Storage of checkpoints and other keyed files: the one class that the rest of the house uses."""

import json
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from pipeline.errors import UserError
from pipeline.paths import in_project
from pipeline.storage.atomic import sweep
from pipeline.storage.backend import Backend
from pipeline.storage.folder import Folder
from pipeline.storage.prefix import Prefix


class Storage:
    """Files by key in a place: a path (relative to the project root), file://, s3://, or a backend.

    Keys are relative POSIX paths such as `levels/level0/<digest>/result.json`. Every write is
    atomic: a reader sees the old content or the new, never a part. Objects can be pickled and sent
    to workers. A file is held in memory while it is copied, but for a large one to or from S3.

    Attributes:
        uri: the address, for messages and for another process to open.

    Raises UserError for another scheme, for a key that leaves the storage, and for what a person
    can mend: a full disk, a server that is away.
    """

    def __init__(self, where: "str | Path | Backend", root: Path | None = None) -> None:
        """Opens `where`; a relative path is one of the project of `root` (`paths.in_project`)."""
        if isinstance(where, str | Path):
            where = _backend(str(where), root)
        self._backend = where
        self.uri = self._backend.uri

    @property
    def local(self) -> Path | None:
        """The folder, where it is one that this process reaches by itself."""
        return self._backend.root if isinstance(self._backend, Folder) else None

    def __repr__(self) -> str:
        return f"Storage({self.uri!r})"

    def read(self, key: str) -> tuple[bytes, str]:
        """Content and version of `key`, for `replace_if`. Raises FileNotFoundError."""
        return self._backend.read(_checked(key))

    def write(self, key: str, content: bytes) -> None:
        """Write `content` to `key`, replacing what is there."""
        self._backend.write(_checked(key), content)

    def create(self, key: str, content: bytes) -> bool:
        """Write `content` where there is nothing at `key`; whether it was this writer's.

        Raises NoConditionalWrites where the place cannot do that.
        """
        return self._backend.create(_checked(key), content)

    def replace_if(self, key: str, content: bytes, version: str) -> bool:
        """Write `content` where `key` still has `version`; whether it was this writer's. False
        where there is nothing. Raises NoConditionalWrites where the place cannot do that."""
        return self._backend.replace_if(_checked(key), content, version)

    def put_file(self, local: Path | str, key: str) -> None:
        """Copy the file `local` to `key`, replacing what is there.

        Raises FileNotFoundError where `local` is missing.
        """
        self._backend.write_file(_checked(key), Path(local))

    def get_file(self, key: str, local: Path | str) -> None:
        """Copy `key` to the file `local`, atomically. Raises FileNotFoundError."""
        self._backend.read_file(_checked(key), Path(local))

    def exists(self, key: str) -> bool:
        """Whether there is a file at exactly `key`."""
        return self._backend.exists(_checked(key))

    def list(self, folder: str = "") -> list[str]:
        """Keys of all files below a folder (all files where empty), sorted."""
        return self._backend.list(_checked(folder) if folder else "")

    def delete(self, key: str) -> None:
        """Delete the file at `key`; a missing one is fine."""
        self._backend.delete(_checked(key))

    def sweep(self) -> None:
        """Delete what killed writers left in a folder more than a day ago. (S3 keeps nothing of a
        write that broke off, but for parts of large files: a rule of the bucket ends those.)"""
        if isinstance(self._backend, Folder):
            sweep(self._backend.root)

    def read_json(self, key: str) -> Any:
        """The JSON value at `key`.

        Raises FileNotFoundError where it is missing and UserError where it is not JSON.
        """
        content, _ = self.read(key)
        try:
            return json.loads(content)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise UserError(
                f"{self.uri}/{key} is not valid JSON ({error}); delete it and run again"
            ) from error

    def write_json(self, key: str, value: Any) -> None:
        """Write `value` as JSON to `key`, atomically. Raises TypeError for other types."""
        self.write(key, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """JSON as it lies in storage: sorted, for a person too. Raises TypeError for other types."""
    return json.dumps(value, indent=2, sort_keys=True).encode() + b"\n"


def _backend(uri: str, root: Path | None) -> Backend:
    parsed = urlparse(uri)
    if parsed.scheme == "s3":
        return Prefix(uri)
    if parsed.scheme == "file":
        uri = url2pathname(parsed.path)
    elif "://" in uri:
        raise UserError(
            f"storage {uri!r}: unknown scheme {parsed.scheme!r}; use a path, file:// or s3://"
        )
    return Folder(in_project(uri, root))


def _checked(key: str) -> str:
    path = PurePosixPath(key)
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise UserError(f"storage key {key!r}: must be a relative path without '..'")
    return path.as_posix()
