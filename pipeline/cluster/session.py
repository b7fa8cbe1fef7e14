"""A stage's connection to the cluster that RAY_ADDRESS names, and what its workers reach by it."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.cluster.connection import connected
from pipeline.cluster.driver_disk import DriverDisk, kept_here
from pipeline.cluster.nodes import on_each_node
from pipeline.cluster.supply import Bundle, Supply
from pipeline.storage.store import Storage


@dataclass(frozen=True)
class Session:
    """What workers get from the driver.

    Attributes:
        supply: their inputs.
        storage: checkpoints and results, as they reach them: an S3 address, or the driver's disk.
    """

    supply: Supply
    storage: str | DriverDisk


@contextmanager
def session(storage: Storage, object_limit: int, wait_seconds: float = 60.0) -> Iterator[Session]:
    """Connected, until the block ends.

    Args:
        storage: as the driver reaches it.
        object_limit: bytes of inputs that may go through Ray's object store.
        wait_seconds: how long nodes may take to join the cluster.

    Raises:
        UserError: as `connected` and `kept_here`.
    """
    with ExitStack() as stack:
        stack.enter_context(connected(wait_seconds=wait_seconds))
        remote = "://" in storage.uri
        where = storage.uri if remote else stack.enter_context(kept_here(storage.uri))
        yield Session(Supply(object_limit, storage, everywhere), where)


def everywhere(bundle: Bundle) -> bool:
    """Whether every node has the bundle at the driver's own path, by the digest of its first file
    and the sizes of all."""
    sizes = {str(file): file.stat().st_size for file in bundle.files.values()}
    return all(found == (bundle.digest, sizes) for found in on_each_node(_found, list(sizes)))


def _found(files: list[str]) -> Any:
    try:
        with open(files[0], "rb") as first:
            digest = hashlib.file_digest(first, "sha256").hexdigest()
        return digest, {file: Path(file).stat().st_size for file in files}
    except OSError:
        return None
