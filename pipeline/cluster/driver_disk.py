"""Storage on the driver's disk for workers that do not have it: an actor on the driver's node.

Two machines and `ray start` are then enough: no S3, no folder that all of them have mounted.
"""

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.cluster.nodes import pinned_here
from pipeline.errors import UserError
from pipeline.storage.atomic import TEMPORARY_PREFIX, refusals_told, write_bytes
from pipeline.storage.folder import Folder

CHUNK = 8 << 20
_TRIES = 3
_CALLS_AT_ONCE = 16


class Keeper:
    """The actor: the files below `root`. Whole contents pass through it in pieces of `CHUNK`, so
    that its memory does not grow with theirs; any call may be repeated.
    """

    def __init__(self, root: str) -> None:
        self._folder = Folder(Path(root))

    def sees(self, name: str) -> bool:
        """Whether there is a file of this name: the driver's disk is this one."""
        return (self._folder.root / name).is_file()

    def size(self, key: str) -> int:
        """Bytes at `key`. Raises FileNotFoundError."""
        return (self._folder.root / key).stat().st_size

    def version(self, key: str) -> str:
        """SHA-256 (hex) of the content. Raises FileNotFoundError."""
        with (self._folder.root / key).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def piece(self, key: str, start: int) -> bytes:
        """At most `CHUNK` bytes from `start` on. Raises FileNotFoundError."""
        with (self._folder.root / key).open("rb") as file:
            file.seek(start)
            return file.read(CHUNK)

    def take(self, upload: str, start: int, content: bytes) -> None:
        """A piece of an upload, into a temporary file. Raises UserError where the disk is full."""
        path = self._upload(upload)
        with refusals_told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "rb+") as file:
                file.seek(start)
                file.write(content)

    def commit(self, upload: str, key: str, sha256: str) -> bool:
        """Let an upload become `key`, if it has arrived as it was sent."""
        path, target = self._upload(upload), self._folder.root / key
        if not path.is_file():
            return target.is_file() and self.version(key) == sha256
        with refusals_told(target, path):
            with path.open("rb+") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    return False
                os.fsync(file.fileno())
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
        return True

    def drop(self, upload: str) -> None:
        """Forget an upload."""
        self._upload(upload).unlink(missing_ok=True)

    def create(self, key: str, content: bytes) -> bool:
        """As `Folder.create`; a repeated call is the same writer's."""
        return self._folder.create(key, content) or self._holds(key, content)

    def replace_if(self, key: str, content: bytes, version: str) -> bool:
        """As `Folder.replace_if`; a repeated call is the same writer's."""
        return self._folder.replace_if(key, content, version) or self._holds(key, content)

    def exists(self, key: str) -> bool:
        """As `Folder.exists`."""
        return self._folder.exists(key)

    def list(self, folder: str) -> list[str]:
        """As `Folder.list`."""
        return self._folder.list(folder)

    def delete(self, key: str) -> None:
        """As `Folder.delete`."""
        self._folder.delete(key)

    def _upload(self, name: str) -> Path:
        return self._folder.root / f"{TEMPORARY_PREFIX}{name}"

    def _holds(self, key: str, content: bytes) -> bool:
        try:
            return self._folder.read(key)[0] == content
        except FileNotFoundError:
            return False


class DriverDisk:
    """`pipeline.storage.backend.Backend` through a `Keeper`. A version is the content's SHA-256,
    against which all that arrives is checked."""

    def __init__(self, uri: str, keeper: Any) -> None:
        self.uri, self._keeper = uri, keeper

    def read(self, key: str) -> tuple[bytes, str]:
        """Content and version. Raises FileNotFoundError."""
        for _ in range(_TRIES):  # it may be replaced while it is read
            version, size = self._ask("version", key), self._ask("size", key)
            pieces = [self._ask("piece", key, start) for start in range(0, size, CHUNK)]
            content = b"".join(pieces)
            if hashlib.sha256(content).hexdigest() == version:
                return content, version
        raise UserError(f"{self.uri}/{key}: what arrives has another digest, {_TRIES} times")

    def write(self, key: str, content: bytes) -> None:
        """Write `content`, replacing what is there."""
        digest = hashlib.sha256(content).hexdigest()
        for _ in range(_TRIES):
            upload = f"{uuid.uuid4().hex}-upload"
            try:
                for start in range(0, len(content), CHUNK) or (0,):
                    self._ask("take", upload, start, content[start : start + CHUNK])
                if self._ask("commit", upload, key, digest):
                    return
            except BaseException:
                self._keeper.drop.remote(upload)
                raise
            self._ask("drop", upload)
        raise UserError(f"{self.uri}/{key}: what arrives has another digest, {_TRIES} times")

    def write_file(self, key: str, local: Path) -> None:
        self.write(key, local.read_bytes())

    def read_file(self, key: str, local: Path) -> None:
        write_bytes(local, self.read(key)[0])

    def create(self, key: str, content: bytes) -> bool:
        """Write `content` where there is nothing; whether it was."""
        return self._ask("create", key, content)

    def replace_if(self, key: str, content: bytes, version: str) -> bool:
        """Write `content` where `version` is still there; whether it was."""
        return self._ask("replace_if", key, content, version)

    def exists(self, key: str) -> bool:
        """Whether there is something at exactly `key`."""
        return self._ask("exists", key)

    def list(self, folder: str) -> list[str]:
        """The keys of all files below a folder, sorted."""
        return self._ask("list", folder)

    def delete(self, key: str) -> None:
        """Delete what is at `key`; nothing there is fine."""
        self._ask("delete", key)

    def _ask(self, method: str, *arguments: Any) -> Any:
        import ray

        try:
            return ray.get(getattr(self._keeper, method).remote(*arguments))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            raise UserError(
                f"{self.uri}: the driver's node does not answer ({type(error).__name__}); the "
                "checkpoints that it has are kept"
            ) from error


@contextmanager
def kept_here(root: str) -> Iterator[DriverDisk]:
    """The folder `root` of this machine for every worker of the cluster that is connected.

    Raises UserError where Ray's node on this machine does not have the folder, or not the rights.
    """
    import ray

    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, **pinned_here()}
    keeper: Any = ray.remote(Keeper).options(max_concurrency=_CALLS_AT_ONCE, **options).remote(root)
    disk = DriverDisk(root, keeper)
    mark = f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}-mark"
    try:
        write_bytes(Path(root) / mark, b"")
        if not disk._ask("sees", mark):
            raise UserError(
                f"storage {root}: Ray's node on this machine sees another disk; start it where the "
                "project lies, or keep storage on S3 (SGAN_STORAGE=s3://...)"
            )
        disk.write(f"{mark}2", b"")
        yield disk
    finally:
        for name in (mark, f"{mark}2"):
            (Path(root) / name).unlink(missing_ok=True)
        ray.kill(keeper)
