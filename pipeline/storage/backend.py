"""What a place for bytes has to offer, whether a folder, an S3 prefix or another machine's disk."""

from pathlib import Path
from typing import Protocol

from pipeline.errors import UserError


class NoConditionalWrites(Exception):
    """The place cannot write only where nobody else has: no lease can be kept in it."""


class Damaged(UserError):
    """What is there, or arrives from there, has another digest than what was written."""


class Backend(Protocol):
    """Bytes by key. Keys are relative POSIX paths, checked by `store.Storage`, which alone is used.

    Every write is whole or not at all, however it breaks off, and replaces nothing before it is
    complete. Objects can be pickled and sent to workers. Raises UserError for what a person can
    mend: a full disk, a server that is away for too long; `Damaged` for wrong bytes.

    A version tells one content of a key from another; equal contents may have equal versions. A
    writer that has to know whether a conditional write was its own puts something unique into it:
    where an answer was lost, the write counts as done if the content is there.

    Attributes:
        uri: the address, for messages.
    """

    uri: str

    def read(self, key: str) -> tuple[bytes, str]:
        """Content and version. Raises FileNotFoundError."""

    def write(self, key: str, content: bytes) -> None:
        """Write `content`, replacing what is there."""

    def write_file(self, key: str, local: Path) -> None:
        """As `write`, of a file. Raises FileNotFoundError where it is missing."""

    def read_file(self, key: str, local: Path) -> None:
        """Content to a file, which is written whole or not at all. Raises FileNotFoundError."""

    def create(self, key: str, content: bytes) -> bool:
        """Write `content` where there is nothing; whether it was.

        Raises NoConditionalWrites where the place cannot do that.
        """

    def replace_if(self, key: str, content: bytes, version: str) -> bool:
        """Write `content` where `version` is still there; whether it was. False where there is
        nothing. Raises NoConditionalWrites where the place cannot do that."""

    def exists(self, key: str) -> bool:
        """Whether there is something at exactly `key`."""

    def list(self, folder: str) -> list[str]:
        """The keys of all files below a folder, sorted; of all files for the empty string."""

    def delete(self, key: str) -> None:
        """Delete what is at `key`; nothing there is fine."""
