"""Encoded features in one Arrow IPC file: a column per h_i, mapped into memory without a copy.

The file lies at a path, or at an address whose scheme is registered (`pipeline.data.opening`): what
is opened there as an Arrow buffer is used where it is, anything else is read whole.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.data.opening import open_bytes
from pipeline.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa
    import torch

LABELS = "y"
REPAIR = "Run `dvc repro -f features` to write it again."


def column(level: int) -> str:
    """Name of h_i's column in the features file."""
    return f"h{level}"


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


def columns_of(
    path: str | Path, hidden: Iterable[int]
) -> "tuple[dict[int, torch.Tensor], torch.Tensor]":
    """What a training takes from the file: h_i by i for those of `hidden` above 0, and y, as
    `read` gives them. Raises UserError for a missing or damaged file or column."""
    return {i: read(path, column(i)) for i in hidden if i > 0}, read(path, LABELS)


def columns(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Shape [N, ...] of each column by name. Raises UserError for a missing or damaged file."""
    batch = _open(path)
    return {
        field.name: (batch.num_rows, *json.loads(field.metadata[b"shape"]))
        for field in batch.schema
    }


def metadata(path: str | Path) -> dict[str, str]:
    """The strings given to `write`. Raises UserError for a missing or damaged file."""
    about: dict[bytes, bytes] = _open(path).schema.metadata or {}
    return {name.decode(): value.decode() for name, value in about.items()}


def _open(path: str | Path) -> "pa.RecordBatch":
    import pyarrow as pa

    try:
        reader: Any = pa.ipc.open_file(_source(str(path)))
        if reader.num_record_batches != 1:
            raise pa.ArrowInvalid(f"{reader.num_record_batches} record batches, expected one")
        batch = reader.get_batch(0)
        batch.validate()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist. Run `dvc repro features` first.") from None
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: truncated or damaged features ({reason}). {REPAIR}") from error
    return batch


def _source(address: str) -> "pa.NativeFile":
    import pyarrow as pa

    if "://" not in address:
        return pa.memory_map(address)
    stream = open_bytes(address)
    if isinstance(stream, pa.NativeFile):
        return stream
    with stream:
        return pa.BufferReader(stream.read())
