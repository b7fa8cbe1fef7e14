"""Storage of checkpoints and other keyed files: a local folder or an S3 prefix, one interface."""

import json
import shutil
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from pipeline.errors import UserError
from pipeline.paths import project_root
from pipeline.storage import s3
from pipeline.storage.atomic import TEMPORARY_PREFIX, atomic_path, write_bytes


class Storage:
    """Files by key below `uri`: a path (relative to the project root), file:// or s3://.

    Keys are relative POSIX paths such as `levels/level0/<digest>/state.safetensors`. Every
    write is atomic: a reader sees the old content or the new, never a part. Objects can be
    pickled and sent to workers.

    Raises UserError for another scheme or a key that leaves the storage.
    """

    def __init__(self, uri: str | Path) -> None:
        text = str(uri)
        parsed = urlparse(text)
        self._root: Path | None = None
        if parsed.scheme == "s3":
            s3.parse(text)
            self.uri = text.rstrip("/")
            return
        if parsed.scheme == "file":
            text = url2pathname(parsed.path)
        elif "://" in text:
            raise UserError(
                f"storage {text!r}: unknown scheme {parsed.scheme!r}; use a path, file:// or s3://"
            )
        self._root = (project_root() / Path(text).expanduser()).resolve()
        self.uri = str(self._root)

    def __repr__(self) -> str:
        return f"Storage({self.uri!r})"

    def put_file(self, local: Path | str, key: str) -> None:
        """Copy the file `local` to `key`, replacing what is there.

        Raises FileNotFoundError where `local` is missing.
        """
        if self._root is None:
            s3.put_file(Path(local), self._address(key))
            return
        with atomic_path(self._path(key)) as temporary:
            shutil.copyfile(local, temporary)

    def get_file(self, key: str, local: Path | str) -> None:
        """Copy `key` to the file `local`, atomically. Raises FileNotFoundError."""
        if self._root is None:
            s3.get_file(self._address(key), Path(local))
            return
        source = self._path(key)
        if not source.is_file():
            raise FileNotFoundError(f"{source} does not exist")
        with atomic_path(Path(local)) as temporary:
            shutil.copyfile(source, temporary)

    def exists(self, key: str) -> bool:
        """Whether there is a file at exactly `key`."""
        if self._root is None:
            return s3.exists(self._address(key))
        return self._path(key).is_file()

    def list(self, prefix: str = "") -> list[str]:
        """Keys of all files below the folder `prefix` (all files where empty), sorted."""
        if self._root is None:
            folder = self._address(prefix) if prefix else self.uri
            base = len(s3.parse(self.uri)[1] and s3.parse(self.uri)[1] + "/")
            return [entry.key[base:] for entry in s3.list_objects(folder + "/")]
        folder_path = self._path(prefix) if prefix else self._root
        return sorted(
            path.relative_to(self._root).as_posix()
            for path in folder_path.rglob("*")
            if path.is_file() and not path.name.startswith(TEMPORARY_PREFIX)
        )

    def delete(self, key: str) -> None:
        """Delete the file at `key`; a missing one is fine. Empty folders stay: another process
        may be about to write into one."""
        if self._root is None:
            s3.delete(self._address(key))
            return
        self._path(key).unlink(missing_ok=True)

    def read_json(self, key: str) -> Any:
        """The JSON value at `key`.

        Raises FileNotFoundError where it is missing and UserError where it is not JSON.
        """
        try:
            if self._root is None:
                content = s3.get_bytes(self._address(key))
            else:
                content = self._path(key).read_bytes()
            return json.loads(content)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise UserError(
                f"{self.uri}/{key} is not valid JSON ({error}); delete it and run again"
            ) from error

    def write_json(self, key: str, value: Any) -> None:
        """Write `value` as JSON to `key`, atomically. Raises TypeError for other types."""
        content = json.dumps(value, indent=2, sort_keys=True).encode() + b"\n"
        if self._root is None:
            s3.put_bytes(content, self._address(key))
        else:
            write_bytes(self._path(key), content)

    def _relative(self, key: str) -> str:
        path = PurePosixPath(key)
        if not path.parts or path.is_absolute() or ".." in path.parts:
            raise UserError(f"storage key {key!r}: must be a relative path without '..'")
        return path.as_posix()

    def _path(self, key: str) -> Path:
        assert self._root is not None
        return self._root / self._relative(key)

    def _address(self, key: str) -> str:
        return f"{self.uri}/{self._relative(key)}"
