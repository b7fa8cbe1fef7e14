"""The manifest of a sharded data set: what is in each shard, and what the data is."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.data.opening import open_bytes
from pipeline.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "manifest.parquet"
_OURS = b"data_digest"  # among the keys of the table's metadata
REPAIR = "Run `dvc repro -f prepare` to write it again."


class Shard(NamedTuple):
    """One shard: file name, number of rows (images), and the SHA-256 (hex) of the file."""

    shard: str
    rows: int
    sha256: str


def is_ours(content: bytes) -> bool:
    """Whether the bytes of a file of that name are a manifest of ours, perhaps a damaged one, and
    no other program's table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return _OURS in (pq.read_schema(pa.BufferReader(content)).metadata or {})
    except (pa.ArrowException, OSError):
        return True


@dataclass(frozen=True)
class Manifest:
    """What `prepare` wrote.

    name: the data set's name. classes: names by label.
    image_shape: (C, H, W).
    splits: shards in row order by split (train, test).
    class_counts: images per class, by split.
    data_digest: SHA-256 (hex) over all arrays; the same for every source and shard size.
    provenance: digests of the arrays, whether they were pinned, images skipped. Not the place
        they came from, so that every source yields the same bytes.
    mean: float32 [C, H, W] in [0, 1], see mean_image.
    """

    name: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    splits: dict[str, list[Shard]]
    class_counts: dict[str, list[int]]
    data_digest: str
    provenance: dict[str, Any]
    mean: np.ndarray

    def rows(self, split: str) -> int:
        """Number of images of a split."""
        return sum(shard.rows for shard in self.shards(split))

    def shard_sizes(self, split: str) -> list[int]:
        """Images in each shard of a split, in row order: what `epoch_order` takes."""
        return [shard.rows for shard in self.shards(split)]

    def shards(self, split: str) -> list[Shard]:
        """The shards of a split in row order. Raises UserError for an unknown split."""
        if split not in self.splits:
            raise UserError(f"no split {split!r}; the manifest has {', '.join(self.splits)}")
        return self.splits[split]

    def mean_image(self) -> np.ndarray:
        """Per-pixel mean of the training images: float32 [C, H, W], in [0, 1] (x / 255)."""
        return self.mean.copy()

    @classmethod
    def load(cls, directory: str | Path) -> "Manifest":
        """Read `manifest.parquet` of a local folder or an s3:// prefix.

        Raises UserError where it is missing or damaged.
        """
        address = join(directory, FILE)
        try:
            with open_bytes(address) as file:
                content = file.read()
        except FileNotFoundError as error:
            raise UserError(f"{address} does not exist. Run `dvc repro prepare` first.") from error
        return cls.parse(content, address)

    @classmethod
    def parse(cls, content: bytes, address: str) -> "Manifest":
        """The bytes of a manifest that lies at `address`. Raises UserError for a damaged one."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return cls._from_table(pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False))
        except (pa.ArrowException, OSError, LookupError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{address}: damaged manifest ({reason}). {REPAIR}") from error

    @classmethod
    def _from_table(cls, table: "pa.Table") -> "Manifest":
        about = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
        shape = tuple(int(about[key]) for key in ("channels", "height", "width"))
        splits: dict[str, list[Shard]] = {}
        counts: dict[str, np.ndarray] = {}
        for row in table.to_pylist():
            shard = Shard(row["shard"], row["count"], row["sha256"])
            splits.setdefault(row["split"], []).append(shard)
            added = np.asarray(row["class_counts"], dtype=np.int64)
            counts[row["split"]] = counts.get(row["split"], 0) + added
        mean = np.frombuffer(table["mean_image"][0].as_py(), "<f4").reshape(shape)
        return cls(
            name=about["name"],
            classes=tuple(json.loads(about["classes"])),
            image_shape=(shape[0], shape[1], shape[2]),
            splits=splits,
            class_counts={split: count.tolist() for split, count in counts.items()},
            data_digest=about["data_digest"],
            provenance=json.loads(about["provenance"]),
            mean=mean.astype(np.float32),
        )


def join(directory: str | Path, name: str) -> str:
    """`directory/name` for a local folder or an s3:// prefix."""
    return f"{str(directory).rstrip('/')}/{name}"
