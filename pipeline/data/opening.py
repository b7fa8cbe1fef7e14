"""Opening what lies at an address: files here, and whatever schemes were registered.

The readers decide what is learnt and how bytes travel does not, so S3 is registered by those who
need it (`pipeline.storage.s3.open_stream`) and imported by no reader.
"""

from collections.abc import Callable
from pathlib import Path
from typing import IO

from pipeline.errors import UserError

_openers: dict[str, Callable[[str], IO[bytes]]] = {}


def register(scheme: str, opener: Callable[[str], IO[bytes]]) -> None:
    """Let `open_bytes` open addresses such as scheme://… by `opener`, which raises
    FileNotFoundError where there is nothing."""
    _openers[scheme] = opener


def open_bytes(address: str) -> IO[bytes]:
    """A binary stream of a local file or of an address of a registered scheme.

    Raises FileNotFoundError where there is nothing, and UserError for another scheme.
    """
    scheme, separator, _ = address.partition("://")
    if not separator:
        return Path(address).open("rb")
    if scheme not in _openers:
        known = ", ".join(f"{name}://" for name in sorted(_openers))
        raise UserError(f"{address}: cannot be opened; allowed: a path{known and f', {known}'}")
    return _openers[scheme](address)
