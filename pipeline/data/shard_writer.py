"""Writing the shards and their manifest: the same data, the same bytes, whatever its source."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.dataset import Dataset, DataSettings, Provenance, data_digest
from pipeline.data.manifest import FILE, Manifest, Shard
from pipeline.data.scratch import Images, pieces
from pipeline.errors import UserError
from pipeline.storage.atomic import atomic_path

SPLITS = ("train", "test")


def write(
    dataset: Dataset,
    directory: str | Path,
    settings: DataSettings,
    provenance: Provenance | None = None,
) -> Manifest:
    """Write `train-00000.tar` …, `test-00000.tar` … and `manifest.parquet`.

    Each file is written atomically and the manifest last; shards that it does not list are
    removed. Memory: a block, or 4 MB.
    Raises UserError for a size below 1.
    """
    for field in ("shard_images", "block_images"):
        if getattr(settings, field) < 1:
            raise UserError(f"data.{field} is {getattr(settings, field)}; it must be at least 1")
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    splits: dict[str, list[Shard]] = {}
    per_shard: dict[str, list[list[int]]] = {}
    for split in SPLITS:
        labels = dataset.split(split)[1]
        starts = range(0, len(labels), settings.shard_images)
        splits[split] = [
            _write_shard(folder, split, number, start, dataset, settings)
            for number, start in enumerate(starts)
        ]
        cuts = [labels[start : start + settings.shard_images] for start in starts]
        classes = len(dataset.classes)
        per_shard[split] = [np.bincount(cut, minlength=classes).tolist() for cut in cuts]
    height, width, channels = dataset.train_images.shape[1:]
    manifest = Manifest(
        name=settings.name,
        classes=dataset.classes,
        image_shape=(channels, height, width),
        splits=splits,
        class_counts={split: np.sum(per_shard[split], axis=0).tolist() for split in SPLITS},
        data_digest=data_digest(dataset),
        provenance=_reproducible(dataset, provenance),
        mean=_mean(dataset.train_images),
    )
    with atomic_path(folder / FILE) as temporary:
        to_parquet(manifest, per_shard, temporary)
    kept = {shard.shard for shards in splits.values() for shard in shards}
    for path in folder.glob("*.tar"):
        if path.name not in kept:
            path.unlink()
    return manifest


def _reproducible(dataset: Dataset, provenance: Provenance | None) -> dict[str, Any]:
    """What is known of the data's origin that is the same for every place it is had from."""
    digests = provenance.digests if provenance else dataset.digests
    pinned = provenance.pinned if provenance else False
    return {"digests": digests, "pinned": pinned, "skipped": dataset.skipped}


def _mean(images: Images) -> np.ndarray:
    """Per-pixel mean in [0, 1], float32 [C, H, W]; summed exactly, a block at a time."""
    total = np.zeros(images.shape[1:], dtype=np.uint64)
    for piece in pieces(images):
        total += piece.sum(axis=0, dtype=np.uint64)
    mean = total.astype(np.float64) / (255 * len(images))
    return np.ascontiguousarray(mean.transpose(2, 0, 1), dtype=np.float32)


def _write_shard(
    folder: Path, split: str, number: int, start: int, dataset: Dataset, settings: DataSettings
) -> Shard:
    from webdataset.writer import TarWriter

    images, labels = dataset.split(split)
    name = f"{split}-{number:05d}.tar"
    stop = min(start + settings.shard_images, len(labels))
    with atomic_path(folder / name) as temporary:
        with temporary.open("wb") as file, TarWriter(file, encoder=False, mtime=0) as tar:
            for row in range(start, stop, settings.block_images):
                rows = slice(row, min(row + settings.block_images, stop))
                tar.write(
                    {
                        "__key__": f"{split}-{row:09d}",
                        "x.npy": _npy(np.asarray(images[rows])),
                        "y.npy": _npy(labels[rows].astype(np.int64)),
                    }
                )
        with temporary.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
    return Shard(name, stop - start, digest)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def to_parquet(
    manifest: Manifest, class_counts: dict[str, list[list[int]]], path: str | Path
) -> None:
    """Write the manifest to `path`; `class_counts` holds a list per shard, by split."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {
            "split": split,
            "shard": shard.shard,
            "count": shard.rows,
            "sha256": shard.sha256,
            "class_counts": counts,
        }
        for split, shards in manifest.splits.items()
        for shard, counts in zip(shards, class_counts[split], strict=True)
    ]
    # A value of the table, not of its metadata, whose size is bounded: it grows with the pixels.
    rows[0]["mean_image"] = manifest.mean.astype("<f4").tobytes()
    channels, height, width = manifest.image_shape
    about = {
        "name": manifest.name,
        "classes": json.dumps(manifest.classes),
        "channels": str(channels),
        "height": str(height),
        "width": str(width),
        "data_digest": manifest.data_digest,
        "provenance": json.dumps(manifest.provenance, sort_keys=True),
    }
    schema = pa.schema(
        [
            ("split", pa.string()),
            ("shard", pa.string()),
            ("count", pa.int64()),
            ("sha256", pa.string()),
            ("class_counts", pa.list_(pa.int64())),
            ("mean_image", pa.large_binary()),
        ],
        metadata=about,
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
