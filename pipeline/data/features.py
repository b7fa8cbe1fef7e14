"""Encoded features in one Arrow IPC file: a column per h_i, mapped into memory without a copy."""

import json
import math
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import UserError
from pipeline.storage.atomic import TEMPORARY_PREFIX, atomic_path

if TYPE_CHECKING:
    import pyarrow as pa
    import torch

DTYPES = ("float32", "int64")
REPAIR = "Run `dvc repro -f features` to write it again."


def write(
    path: str | Path, columns: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Write whole arrays, atomically; no copy of them is made.

    columns: float32 (or int64, for labels) [N, ...] by name, all of the same N >= 1.
    metadata: strings kept in the file, see :func:`metadata`.
    Raises ValueError for another dtype, differing lengths, or no column.
    """
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise ValueError(f"columns must have one length, at least 1; have {counts}")
    import pyarrow as pa

    fields, arrays = [], []
    for name, column in columns.items():
        if column.dtype.name not in DTYPES:
            raise ValueError(f"column {name!r} is {column.dtype}; allowed: {', '.join(DTYPES)}")
        shape = column.shape[1:]
        values = pa.array(np.ascontiguousarray(column).reshape(-1))
        array = pa.FixedSizeListArray.from_arrays(values, math.prod(shape))
        arrays.append(array)
        about = {"shape": json.dumps(list(shape))}
        fields.append(pa.field(name, array.type, nullable=False, metadata=about))
    schema = pa.schema(fields, metadata=dict(metadata or {}))
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    with atomic_path(Path(path)) as temporary, pa.OSFile(str(temporary), "wb") as file:
        with pa.ipc.new_file(file, schema) as writer:
            writer.write_batch(batch)


class Writer:
    """Writes features that come in batches, with one batch in memory at a time.

    The batches go to scratch files mapped from the folder of ``path`` (so the disk holds the data
    twice for a moment, and memory only pages that the system may drop) and become one record
    batch in the end. A context manager: the file appears, atomically, when the block ends without
    an exception.

    rows: N, which the batches must add up to.
    columns: shape of one row by name, such as ``{"h1": (256,)}``; () for a number per row.
    dtypes: ``float32`` (default) or ``int64`` by name.
    Raises ValueError for a batch of another shape or dtype, or another number of rows in all.
    """

    def __init__(
        self,
        path: str | Path,
        rows: int,
        columns: Mapping[str, tuple[int, ...]],
        metadata: Mapping[str, str] | None = None,
        dtypes: Mapping[str, str] | None = None,
    ) -> None:
        self._path, self._rows, self._shapes = Path(path), rows, dict(columns)
        self._metadata, self._dtypes = dict(metadata or {}), dict(dtypes or {})
        self._done = 0
        self._stack = ExitStack()
        self._maps: dict[str, np.ndarray] = {}

    def __enter__(self) -> "Writer":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        folder = self._stack.enter_context(
            tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=self._path.parent)
        )
        for number, (name, shape) in enumerate(self._shapes.items()):
            self._maps[name] = np.lib.format.open_memmap(
                Path(folder) / f"{number}.npy",
                mode="w+",
                dtype=np.dtype(self._dtypes.get(name, "float32")),
                shape=(self._rows, *shape),
            )
        return self

    def append(self, batch: Mapping[str, np.ndarray]) -> None:
        """Add rows: an array [B, ...] for each column, all of the same B."""
        counts = {len(values) for values in batch.values()}
        if set(batch) != set(self._maps) or len(counts) != 1:
            raise ValueError(f"a batch needs {sorted(self._maps)} of one length, not {len(batch)}")
        stop = self._done + counts.pop()
        if stop > self._rows:
            raise ValueError(f"{stop} rows, but the file was announced with {self._rows}")
        for name, values in batch.items():
            target = self._maps[name]
            if values.dtype != target.dtype or values.shape[1:] != target.shape[1:]:
                raise ValueError(
                    f"column {name!r}: {values.dtype} {list(values.shape[1:])}, announced as "
                    f"{target.dtype} {list(target.shape[1:])}"
                )
            target[self._done : stop] = values
        self._done = stop

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            if kind is None:
                if self._done != self._rows:
                    raise ValueError(f"{self._done} rows written of {self._rows} announced")
                write(self._path, self._maps, self._metadata)
            self._maps.clear()


def read(path: str | Path, column: str) -> "torch.Tensor":
    """One column as a tensor float32 (or int64) [N, ...], mapped from the file: no copy, no read
    until rows are used.

    The memory is read-only: writing into the tensor ends the process. Index it (which copies)
    before changing anything. The mapping lives as long as the tensor.
    Raises UserError for a missing or damaged file or column.
    """
    import torch

    batch = _open(path)
    if column not in batch.schema.names:
        raise UserError(f"{path}: no column {column!r}; it has {', '.join(batch.schema.names)}")
    shape = json.loads(batch.schema.field(column).metadata[b"shape"])
    values = torch.utils.dlpack.from_dlpack(batch.column(column).values)
    return values.reshape(batch.num_rows, *shape)


def columns(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Shape [N, ...] of each column by name. Raises UserError for a missing or damaged file."""
    batch = _open(path)
    return {
        field.name: (batch.num_rows, *json.loads(field.metadata[b"shape"]))
        for field in batch.schema
    }


def metadata(path: str | Path) -> dict[str, str]:
    """The strings given to :func:`write`. Raises UserError for a missing or damaged file."""
    about: dict[bytes, bytes] = _open(path).schema.metadata or {}
    return {name.decode(): value.decode() for name, value in about.items()}


def _open(path: str | Path) -> "pa.RecordBatch":
    import pyarrow as pa

    if not Path(path).is_file():
        raise UserError(f"{path} does not exist. Run `dvc repro features` first.")
    try:
        reader: Any = pa.ipc.open_file(pa.memory_map(str(path)))
        if reader.num_record_batches != 1:
            raise pa.ArrowInvalid(f"{reader.num_record_batches} record batches, expected one")
        batch = reader.get_batch(0)
        batch.validate()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: truncated or damaged features ({error}). {REPAIR}") from error
    return batch
