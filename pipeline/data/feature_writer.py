"""Writing features: whole arrays at once, or batch by batch with one batch in memory."""

import json
import math
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from pipeline.storage.atomic import TEMPORARY_PREFIX, atomic_path

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

    The batches go to scratch files mapped from the folder of `path` (so the disk holds the data
    twice for a moment, and memory only pages that the system may drop) and become one record
    batch in the end. A context manager: the file appears, atomically, when the block ends without
    an exception.

    rows: N, which the batches must add up to.
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
