"""What tasks read, sent by content: through Ray's object store, from S3, or at a common path.

Ray moves an object to a node once and maps it into each process there, and keeps on disk what does
not fit into memory. `object://<digest>/<file>` is the address of such a file: `opening.open_bytes`
opens it in place in a process that was handed the references (`opened`). The digest is the SHA-256
of the file, or of the first file of a folder, which says what the others have to be.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pipeline.data import opening
from pipeline.errors import UserError
from pipeline.storage.atomic import atomic_path
from pipeline.storage.store import Storage

SCHEME = "object"
PREFIX = "inputs"  # in storage
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Bundle:
    """Files that travel together and are known by one digest.

    Attributes:
        path: the file, or the folder of the files.
        digest: SHA-256 (hex) of the file, or of the folder's first.
        names: of the files in the folder; empty where `path` is a file.
    """

    path: Path
    digest: str
    names: tuple[str, ...] = ()

    @property
    def files(self) -> dict[str, Path]:
        """Each file by the end of its address, `<digest>/<name>`."""
        if not self.names:
            return {f"{self.digest}/{self.path.name}": self.path}
        return {f"{self.digest}/{name}": self.path / name for name in self.names}

    @property
    def bytes(self) -> int:
        """Of all files. Raises UserError where one is missing."""
        try:
            return sum(file.stat().st_size for file in self.files.values())
        except FileNotFoundError as error:
            raise UserError(f"{error.filename} does not exist; `dvc repro` makes it") from None

    def below(self, root: str) -> str:
        """The address of the file, or of the folder, where files lie at `root`/`<digest>/…`."""
        return f"{root}/{self.digest}" + ("" if self.names else f"/{self.path.name}")


@dataclass(frozen=True)
class Sent:
    """One file in Ray's object store, and what its bytes have to be (None: its reader knows)."""

    reference: Any
    sha256: str | None


class Supply:
    """The driver's end of a Ray session: every content is put, or uploaded, once.

    Args:
        limit: bytes of all inputs together that may go through the object store.
        storage: where what does not fit is uploaded to, if it is on S3.
        everywhere: whether every node has this bundle at the driver's own path.
    """

    def __init__(self, limit: int, storage: Storage, everywhere: Callable[[Bundle], bool]) -> None:
        self._limit, self._storage, self._everywhere = limit, storage, everywhere
        self._objects: dict[str, Sent] = {}
        self._bytes = 0
        self._addresses: dict[str, str] = {}

    def send(self, bundles: Iterable[Bundle]) -> None:
        """Make bundles available to tasks, the smallest first through the object store.

        Raises UserError where one does not fit, storage is not on S3, and a node lacks its path.
        """
        for bundle in sorted(set(bundles), key=lambda bundle: bundle.bytes):
            new = {end: file for end, file in bundle.files.items() if end not in self._objects}
            size = sum(file.stat().st_size for file in new.values())
            if self._bytes + size <= self._limit:
                self._put(bundle, new)
                self._bytes += size
                self._addresses[_name(bundle)] = bundle.below(f"{SCHEME}:/")
            elif self._storage.uri.startswith("s3://"):
                self._upload(bundle)
                self._addresses[_name(bundle)] = bundle.below(f"{self._storage.uri}/{PREFIX}")
            elif self._everywhere(bundle):
                self._addresses[_name(bundle)] = str(bundle.path)
            else:
                raise UserError(
                    f"{bundle.path} ({_size(size)}) does not fit into what goes through Ray's "
                    f"object store (runtime.object_limit, {_size(self._limit)} in all), and not "
                    "every node has it at this path: keep storage on S3 (SGAN_STORAGE=s3://...), "
                    "put the project where every node has it, or raise the limit"
                )

    def address(self, bundle: Bundle) -> str:
        """Where tasks find a bundle that was sent."""
        return self._addresses[_name(bundle)]

    def objects(self, bundles: Iterable[Bundle]) -> dict[str, Sent]:
        """What a task that reads these bundles has to be handed, by address."""
        ends = (end for bundle in bundles for end in bundle.files)
        return {f"{SCHEME}://{end}": self._objects[end] for end in ends if end in self._objects}

    def _put(self, bundle: Bundle, files: Mapping[str, Path]) -> None:
        import numpy as np
        import ray

        first = next(iter(bundle.files))
        for end, file in files.items():
            # Only an array is mapped by those who get it; bytes would be copied.
            content = np.memmap(file, np.uint8, "r") if file.stat().st_size else np.empty(0)
            reference = ray.put(np.asarray(content, np.uint8).view(np.ndarray))
            self._objects[end] = Sent(reference, bundle.digest if end == first else None)

    def _upload(self, bundle: Bundle) -> None:
        there = set(self._storage.list(f"{PREFIX}/{bundle.digest}"))
        for end, file in reversed(
            bundle.files.items()
        ):  # the first file last: it tells of the rest
            if f"{PREFIX}/{end}" not in there:
                self._storage.put_file(file, f"{PREFIX}/{end}")


def _name(bundle: Bundle) -> str:
    return f"{bundle.digest}/{','.join(bundle.names) or bundle.path.name}"


def _size(count: int) -> str:
    return f"{count / 1e9:.3g} GB"


@contextmanager
def opened(objects: Mapping[str, Sent]) -> Iterator[None]:
    """Inside it, `opening.open_bytes` opens these addresses in this process, without a copy.

    Opening raises FileNotFoundError for an address that was not handed over, and UserError where
    the bytes that arrived are not those that were sent.
    """
    import pyarrow as pa

    arrived: dict[str, pa.Buffer] = {}

    def open_object(address: str) -> IO[bytes]:
        if address not in objects:
            raise FileNotFoundError(f"{address} was not sent to this worker")
        if address not in arrived:
            arrived[address] = _fetched(address, objects[address])
        return pa.BufferReader(arrived[address])

    opening.register(SCHEME, open_object)
    try:
        yield
    finally:
        opening.register(SCHEME, _nothing)


def _nothing(address: str) -> IO[bytes]:
    raise FileNotFoundError(f"{address} was not sent to this worker")


def _fetched(address: str, sent: Sent) -> Any:
    import pyarrow as pa
    import ray

    content = ray.get(sent.reference)
    if sent.sha256 is not None and hashlib.sha256(content).hexdigest() != sent.sha256:
        raise UserError(f"{address}: the bytes that arrived are not those that were sent")
    return pa.py_buffer(content)


def copied(address: str, folder: Path) -> Path:
    """A file at an address that ends in `<digest>/<name>`, copied into `folder` and checked.

    Raises UserError where its bytes have another digest, FileNotFoundError where there is nothing.
    """
    digest, name = address.split("/")[-2:]
    target, found = folder / digest / name, hashlib.sha256()
    with opening.open_bytes(address) as stream, atomic_path(target) as temporary:
        with temporary.open("wb") as file:
            while chunk := stream.read(_CHUNK):
                found.update(chunk)
                file.write(chunk)
        if found.hexdigest() != digest:
            raise UserError(
                f"{address}: its SHA-256 is {found.hexdigest()}, which is not the one in its "
                "address; delete it and run again"
            )
    return target
