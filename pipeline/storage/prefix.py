"""An S3 prefix as a place for bytes."""

from pathlib import Path

from pipeline.storage import s3


class Prefix:
    """`backend.Backend` below `s3://bucket/key`. A version is the object's entity tag."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self._base = s3.parse(self.uri)[1]

    def read(self, key: str) -> tuple[bytes, str]:
        return s3.get_versioned(self._address(key))

    def write(self, key: str, content: bytes) -> None:
        s3.put_bytes(content, self._address(key))

    def write_file(self, key: str, local: Path) -> None:
        """As `write`, of a file, however large. Raises FileNotFoundError where it is missing."""
        s3.put_file(local, self._address(key))

    def read_file(self, key: str, local: Path) -> None:
        """Content to a file, however large; atomic. Raises FileNotFoundError."""
        s3.get_file(self._address(key), local)

    def create(self, key: str, content: bytes) -> bool:
        return s3.create(content, self._address(key))

    def replace_if(self, key: str, content: bytes, version: str) -> bool:
        return s3.replace_if(content, self._address(key), version)

    def exists(self, key: str) -> bool:
        return s3.exists(self._address(key))

    def list(self, folder: str) -> list[str]:
        start = len(self._base) + 1 if self._base else 0
        found = s3.list_objects(self._address(folder) + "/" if folder else self.uri + "/")
        return [entry.key[start:] for entry in found]

    def delete(self, key: str) -> None:
        s3.delete(self._address(key))

    def _address(self, key: str) -> str:
        return f"{self.uri}/{key}"
