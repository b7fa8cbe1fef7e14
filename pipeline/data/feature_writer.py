"""Writing features: whole arrays at once, or batch by batch with one batch in memory."""

import json
import math
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from pipeline.storage.atomic import atomic_path

DTYPES = ("float32", "int64")


def write(
    path: str | Path, columns: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Write whole arrays, atomically; no copy of them is made.

    columns: float32 (or int64, for labels) [N, ...] by name, all of the same N >= 1.
    metadata: strings kept in the file, see `features.metadata`.
    Raises ValueError for another dtype, differing lengths, or no column.
    """
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise ValueError(f"columns must have one length, at least 1; have {counts}")
    for name, column in columns.items():
        if column.dtype.name not in DTYPES:
            raise ValueError(f"column {name!r} is {column.dtype}; allowed: {', '.join(DTYPES)}")
    with atomic_path(Path(path)) as temporary:
        _write(temporary, columns, metadata or {})


def _write(
    path: Path, columns: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> dict[str, int]:
    """Write one record batch; returns the place in the file of each column's first value."""
    import pyarrow as pa

    fields, arrays = [], []
    for name, column in columns.items():
        shape = column.shape[1:]
        values = pa.array(np.ascontiguousarray(column).reshape(-1))
        array = pa.FixedSizeListArray.from_arrays(values, math.prod(shape))
        arrays.append(array)
        about = {"shape": json.dumps(list(shape))}
        fields.append(pa.field(name, array.type, nullable=False, metadata=about))
    schema = pa.schema(fields, metadata=dict(metadata))
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_batch(batch)
    with pa.memory_map(str(path)) as mapped:
        begin = mapped.read_buffer(1).address
        read = pa.ipc.open_file(mapped).get_batch(0)
        return {
            name: read.column(name).values.buffers()[1].address - begin
            for name in read.schema.names
        }


class Writer:
    """Writes features that come in batches, with one batch in memory at a time.

    The file is laid out with zeros, and each batch is written to its place. A context manager: the
    file appears, atomically, when the block ends without an exception.

    rows: N >= 1, which the batches must add up to.
    columns: shape of one row by name, such as `{"h1": (256,)}`; () for a number per row.
    dtypes: `float32` (default) or `int64` by name.
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
        self._path, self._rows, self._metadata = Path(path), rows, dict(metadata or {})
        self._row = {
            name: np.zeros(shape, (dtypes or {}).get(name, "float32"))
            for name, shape in columns.items()
        }
        self._done = 0
        self._stack = ExitStack()
        self._places: dict[str, int] = {}

    def __enter__(self) -> "Writer":
        with self._stack as stack:
            temporary = stack.enter_context(atomic_path(self._path))
            # Arrays of zeros take no memory until they are written to.
            blank = {n: np.zeros((self._rows, *v.shape), v.dtype) for n, v in self._row.items()}
            self._places = _write(temporary, blank, self._metadata)
            self._file = stack.enter_context(temporary.open("rb+"))
            self._stack = stack.pop_all()
        return self

    def append(self, batch: Mapping[str, np.ndarray]) -> None:
        """Add rows: an array [B, ...] for each column, all of the same B."""
        counts = {len(values) for values in batch.values()}
        if set(batch) != set(self._row) or len(counts) != 1:
            raise ValueError(f"a batch needs {sorted(self._row)} of one length, not {len(batch)}")
        stop = self._done + counts.pop()
        if stop > self._rows:
            raise ValueError(f"{stop} rows, but the file was announced with {self._rows}")
        for name, values in batch.items():
            row = self._row[name]
            if values.dtype != row.dtype or values.shape[1:] != row.shape:
                raise ValueError(
                    f"column {name!r}: {values.dtype} {list(values.shape[1:])}, announced as "
                    f"{row.dtype} {list(row.shape)}"
                )
            self._file.seek(self._places[name] + self._done * row.nbytes)
            self._file.write(np.ascontiguousarray(values).data)
        self._done = stop

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            if self._done != self._rows:
                raise ValueError(f"{self._done} rows written of {self._rows} announced")
