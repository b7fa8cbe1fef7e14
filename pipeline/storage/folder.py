"""A local folder, or one that several machines have mounted, as a place for bytes."""

import errno
import hashlib
import os
import uuid
from pathlib import Path

from filelock import FileLock

from pipeline.storage.atomic import TEMPORARY_PREFIX, write_bytes
from pipeline.storage.backend import NoConditionalWrites

_LOCK = f"{TEMPORARY_PREFIX}lock"
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EOPNOTSUPP}  # FAT, network shares


class Folder:
    """`backend.Backend` below the folder `root` (absolute; made where it is missing).

    A version is the content's SHA-256. Empty folders stay: another process may be about to write
    into one.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = str(root)

    def read(self, key: str) -> tuple[bytes, str]:
        path = self.root / key
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist")
        content = path.read_bytes()
        return content, hashlib.sha256(content).hexdigest()

    def write(self, key: str, content: bytes) -> None:
        write_bytes(self.root / key, content)

    def write_file(self, key: str, local: Path) -> None:
        self.write(key, local.read_bytes())

    def read_file(self, key: str, local: Path) -> None:
        write_bytes(local, self.read(key)[0])

    def create(self, key: str, content: bytes) -> bool:
        path = self.root / key
        new = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}-{path.name}"
        try:
            write_bytes(new, content)
            os.link(new, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS or not new.exists():
                raise
            raise NoConditionalWrites(f"{self.uri}: {error}") from error
        finally:
            new.unlink(missing_ok=True)
        return True

    def replace_if(self, key: str, content: bytes, version: str) -> bool:
        try:
            with FileLock(self.root / _LOCK):
                if self.read(key)[1] != version:
                    return False
                self.write(key, content)
        except FileNotFoundError:
            return False
        except NotImplementedError as error:  # a file system without flock
            raise NoConditionalWrites(f"{self.uri}: {error}") from error
        return True

    def exists(self, key: str) -> bool:
        return (self.root / key).is_file()

    def list(self, folder: str) -> list[str]:
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in (self.root / folder).rglob("*")
            if path.is_file() and not path.name.startswith(TEMPORARY_PREFIX)
        )

    def delete(self, key: str) -> None:
        (self.root / key).unlink(missing_ok=True)
