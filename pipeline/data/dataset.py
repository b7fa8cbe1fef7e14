"""The decoded data set, its settings and its digests."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from pipeline.data.scratch import Images, pieces
from pipeline.errors import UserError
from pipeline.params.named_sets import ARRAYS


class DataSettings(Protocol):
    """What `sources.load` and `shard_writer.write` read from params.yaml: data.

    name: mnist, fashion_mnist, cifar10, svhn or custom.
    source: path or URI (file, http, https, s3) to use instead of the usual places.
    format: auto, idx, npz, folder, parquet or webdataset.
    splits: names of the source's splits by what becomes of them (train, test); {}: none are.
    classes: names of the classes that are read, in their order.
    names_encoding: of a zip's names that do not say it.
    image_size: pixels; custom sets only: centre-cropped to a square and resized to this side.
    on_bad_image: error or skip (skipped images are counted).
    test_fraction: share of each class held out where a custom set has no test split.
    sha256: digests by array name (see `ARRAYS`) that replace the pinned ones.
    shard_images, block_images: images per shard and per block within it.
    max_train, max_test: keep the first n images of a split, after the digest check.
    """

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str | None: ...
    @property
    def format(self) -> str: ...
    @property
    def splits(self) -> Mapping[str, Sequence[str]] | None: ...
    @property
    def classes(self) -> Sequence[str] | None: ...
    @property
    def names_encoding(self) -> str | None: ...
    @property
    def image_size(self) -> int | None: ...
    @property
    def on_bad_image(self) -> str: ...
    @property
    def test_fraction(self) -> float: ...
    @property
    def sha256(self) -> Mapping[str, str] | None: ...
    @property
    def shard_images(self) -> int: ...
    @property
    def block_images(self) -> int: ...
    @property
    def max_train(self) -> int | None: ...
    @property
    def max_test(self) -> int | None: ...


@dataclass(frozen=True)
class Dataset:
    """Images and labels of both splits.

    train_images, test_images: uint8 [N, H, W, C], C = 1 or 3, values 0..255; in memory, or in a
        file and read by `np.asarray(images[rows])`.
    train_labels, test_labels: int64 [N], values 0..len(classes)-1.
    classes: names of the classes, by label.
    skipped: number of unreadable images left out.
    """

    train_images: Images
    train_labels: np.ndarray
    test_images: Images
    test_labels: np.ndarray
    classes: tuple[str, ...]
    skipped: int = 0

    def split(self, name: str) -> tuple[Images, np.ndarray]:
        """Images and labels of `train` or `test`."""
        return getattr(self, f"{name}_images"), getattr(self, f"{name}_labels")

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 (hex) of the raw bytes of each array; labels as one uint8 each up to 256
        classes, the form in which the published sets' digests are pinned."""
        label_type = np.uint8 if len(self.classes) <= 256 else np.int64
        return {
            "train_images": array_sha256(self.train_images),
            "train_labels": array_sha256(self.train_labels.astype(label_type)),
            "test_images": array_sha256(self.test_images),
            "test_labels": array_sha256(self.test_labels.astype(label_type)),
        }


@dataclass(frozen=True)
class Provenance:
    """Where a data set came from.

    origin: package, URL or path that the bytes were read from.
    digests: SHA-256 of each decoded array, before `max_train` and `max_test`.
    pinned: True where these were compared with known digests and found equal.
    failed: the places tried before, each with its reason.
    """

    name: str
    origin: str
    format: str
    digests: dict[str, str]
    pinned: bool
    failed: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return asdict(self) | {"failed": list(self.failed)}


def array_sha256(array: Images) -> str:
    """SHA-256 (hex) of the raw bytes of an array [N, ...] in C order, a piece at a time."""
    digest = hashlib.sha256()
    for piece in pieces(array):
        digest.update(np.ascontiguousarray(piece).data)
    return digest.hexdigest()


def data_digest(dataset: Dataset) -> str:
    """One SHA-256 (hex) over all arrays, their shapes and the class names; independent of where
    the data came from and of how it is cut into shards."""
    content = {
        "digests": dataset.digests,
        "shapes": [list(getattr(dataset, name).shape) for name in ARRAYS],
        "classes": list(dataset.classes),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def check_images(images: np.ndarray, where: str) -> np.ndarray:
    """`images` as uint8 [N, H, W, C]; [N, H, W] gains a channel axis.

    Raises UserError for another dtype, shape or number of channels, naming `where`.
    """
    if images.dtype != np.uint8:
        raise UserError(
            f"{where}: images have dtype {images.dtype}; only uint8 (0..255) is supported. "
            "Convert them first, for example (x * 255).round().astype('uint8') for floats in 0..1."
        )
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim == 4 and images.shape[3] == 4:
        raise UserError(
            f"{where}: images have shape {list(images.shape)}: four channels, the last of which is "
            "probably alpha (transparency). Drop it, x[..., :3], or put them on white first."
        )
    if images.ndim != 4 or images.shape[3] not in (1, 3) or min(images.shape[1:3]) < 1:
        raise UserError(
            f"{where}: images have shape {list(images.shape)}; allowed are [N, H, W], [N, H, W, 1] "
            "and [N, H, W, 3]. Move a leading channel axis last, as in x.transpose(0, 2, 3, 1)."
        )
    return images


def _remedy(labels: np.ndarray) -> str:
    """How labels of another kind become numbers; "" where that is not known."""
    if labels.ndim == 2 and labels.dtype.kind in "iufb":
        return " If they are one-hot: y.argmax(1)"
    if labels.ndim == 1 and labels.dtype.kind in "fb":
        return " Convert them: y.astype(int)"
    if labels.ndim == 1 and labels.dtype.kind in "US":
        return " Number names: classes, y = numpy.unique(y, return_inverse=True), and save both"
    return ""


def check_labels(labels: np.ndarray, count: int, where: str) -> np.ndarray:
    """`labels` as int64 [count], all >= 0; [N, 1] is flattened.

    Raises UserError for another dtype or length, or a negative label, naming `where`.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UserError(
            f"{where}: labels have dtype {labels.dtype} and shape {list(labels.shape)}; they must "
            f"be integers in one dimension, one per image.{_remedy(labels)}"
        )
    if len(labels) != count:
        raise UserError(f"{where}: {count} images but {len(labels)} labels; there must be one each")
    labels = labels.astype(np.int64)
    if count and labels.min() < 0:
        row = int(labels.argmin())
        raise UserError(f"{where}: label {labels[row]} at row {row}; labels count from 0")
    return labels
