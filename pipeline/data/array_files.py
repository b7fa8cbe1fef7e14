"""Decoders of arrays on disk: IDX (MNIST's format), .npz, and SVHN's .mat files."""

import gzip
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from pipeline.data.dataset import check_images, check_labels
from pipeline.data.decoded import Decoded
from pipeline.data.images import ImageCollector, Sides
from pipeline.data.scratch import PIECE_BYTES, Images
from pipeline.data.survey.arrays import npz_damage_told, npz_names, require_npz_ratio
from pipeline.data.survey.bounds import MOST_IMAGES
from pipeline.data.survey.damage import damage_told, read_up_to, reason
from pipeline.errors import UserError
from pipeline.params.named_sets import IDX_FILES, SVHN_FILES

if TYPE_CHECKING:
    from numpy.lib.npyio import NpzFile

_IDX_UINT8 = 0x08


def read_idx(path: Path) -> Iterator[np.ndarray]:
    """One IDX file of bytes (raw or .gz), uint8 of the shape that its header gives, in pieces
    along the first axis.

    Raises UserError for a truncated or damaged file, or another element type than bytes.
    """
    with damage_told(f"{path}: truncated or damaged", "Fetch it again."):
        with _opened(path) as stream:
            head = stream.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or not head[3]:
                raise UserError(f"{path}: not an IDX file (it must begin with two zero bytes)")
            if head[2] != _IDX_UINT8:
                raise UserError(
                    f"{path}: IDX element type 0x{head[2]:02x}; only bytes (0x08) are read"
                )
            sizes = stream.read(4 * head[3])
            shape = tuple(int(n) for n in np.frombuffer(sizes[: len(sizes) // 4 * 4], ">u4"))
            found, expected = 4 + len(sizes), 4 + 4 * head[3] + math.prod(shape)
            if len(shape) == head[3]:
                for piece in _rows(stream, shape):
                    found += piece.nbytes
                    if piece.ndim == len(shape):
                        yield piece
            found += len(stream.read(1))
    if len(shape) != head[3] or found != expected:
        raise UserError(
            f"{path}: {'more' if found > expected else found} bytes where its header promises "
            f"{expected}: truncated or damaged. Fetch it again."
        )


def _opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    """A file's content, unpacked where it is packed: browsers unpack and keep the suffix."""
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else path.open("rb")


def _rows(stream: IO[bytes] | gzip.GzipFile, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The bytes of a stream as uint8 of `shape`, in pieces along the first axis; those of a stream
    that ends early come as one dimension, and end it."""
    size = math.prod(shape[1:])
    most = max(1, PIECE_BYTES // max(1, size))
    for start in range(0, shape[0] if size else 0, most):
        count = min(most, shape[0] - start)
        content = read_up_to(stream, count * size)
        values = np.frombuffer(content, np.uint8)
        if len(content) < count * size:
            yield values
            return
        yield values.reshape(count, *shape[1:])


def decode_idx(
    found: Mapping[str, Path], image_size: int | None = None, sides: Sides = None
) -> Decoded:
    """IDX files by array name (`train_images` …; the test pair is optional).

    image_size, sides: as of `ImageCollector`.
    Raises UserError for missing, damaged or mismatched files.
    """
    folder = next(iter(found.values())).parent
    pairs = {}
    for split in ("train", "test"):
        paths = found.get(f"{split}_images"), found.get(f"{split}_labels")
        if paths[0] is None and paths[1] is None:
            continue
        if paths[0] is None or paths[1] is None:
            there, lacking = ("labels", "images") if paths[1] else ("images", "labels")
            raise UserError(
                f"{folder}: has {split} {there} but no {split} {lacking} "
                f"({IDX_FILES[f'{split}_{lacking}']}, raw or .gz); add it, or remove the other"
            )
        collector = ImageCollector(image_size, "error", sides)
        collected = _collected(read_idx(paths[0]), collector, str(paths[0]))
        labels = np.concatenate([np.zeros(0, np.uint8), *read_idx(paths[1])])
        pairs[split] = collected, check_labels(labels, len(collected), str(paths[1]))
    return Decoded(train=pairs["train"], test=pairs.get("test"))


def _collected(parts: Iterable[np.ndarray], collector: ImageCollector, where: str) -> Images:
    """Images [n, H, W] or [n, H, W, C] that come in parts."""
    for part in parts:
        images = check_images(part, where)
        collector.add_rows(images, np.zeros(len(images), np.int64), where)
    return collector.stack()[0]


def decode_npz(path: Path, image_size: int | None = None, sides: Sides = None) -> Decoded:
    """An .npz with x_train, y_train (and x_test, y_test), or images and labels; optionally
    `classes`, the names by label.

    image_size, sides: as of `ImageCollector`.
    Raises UserError for a damaged file, missing arrays, or unsupported dtypes and shapes.
    """
    with npz_damage_told(str(path)), npz(path) as archive:
        return _npz(path, archive, lambda: ImageCollector(image_size, "error", sides))


@contextmanager
def npz(path: Path) -> Iterator["NpzFile"]:
    """An .npz that is read. Raises UserError for one that unpacks to many times its size, and what
    numpy raises on a damaged one."""
    with path.open("rb") as stream:
        require_npz_ratio(stream, str(path))
    with np.load(path, allow_pickle=False) as archive:
        yield archive


def _npz(path: Path, archive: "NpzFile", collector: Callable[[], ImageCollector]) -> Decoded:
    arrays = archive.files
    names = next(
        (pair for pair in (("x_train", "y_train"), ("images", "labels")) if pair[0] in arrays), None
    )
    if names is None or names[1] not in arrays:
        raise UserError(
            f"{path}: holds {sorted(arrays)}; expected x_train and y_train (with x_test and "
            "y_test), or images and labels"
        )
    train = _npz_pair(path, archive, collector(), *names)
    has_test = {"x_test", "y_test"} & set(arrays)
    if len(has_test) == 1:
        raise UserError(f"{path}: has {has_test.pop()} alone; give both x_test and y_test, or none")
    test = _npz_pair(path, archive, collector(), "x_test", "y_test") if has_test else None
    classes = npz_names(str(path), archive["classes"]) if "classes" in arrays else None
    return Decoded(train=train, test=test, classes=classes)


def _npz_pair(
    path: Path, archive: "NpzFile", collector: ImageCollector, images_name: str, labels_name: str
) -> tuple[Images, np.ndarray]:
    where = f"{path}: {images_name}"
    images = _collected(_npz_pieces(archive, images_name, where), collector, where)
    return images, check_labels(archive[labels_name], len(images), f"{path}: {labels_name}")


def _npz_pieces(archive: "NpzFile", name: str, where: str) -> Iterator[np.ndarray]:
    """An array of the archive in pieces along the first axis, as it is unpacked."""
    assert archive.zip is not None
    with archive.zip.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        shape, by_columns, dtype = header(stream) if header else ((), True, np.dtype(object))
        if not by_columns and not dtype.hasobject:
            check_images(np.broadcast_to(np.zeros(1, dtype), shape), where)
            for piece in _rows(stream, shape):
                if piece.ndim != len(shape):
                    raise EOFError(f"{name} ends early")
                yield piece
            stream.read(1)  # the archive's checksum is compared at the end
            return
    yield archive[name]


def decode_svhn(folder: Path) -> Decoded:
    """SVHN's cropped digits: `train_32x32.mat` and `test_32x32.mat` with X uint8
    [32, 32, 3, N] and y [N, 1], in which 10 stands for the digit 0.

    Raises UserError for missing or damaged files.
    """
    pairs = {}
    for split, name in SVHN_FILES.items():
        images, labels = _read_mat(folder / name)
        images = check_images(np.ascontiguousarray(images.transpose(3, 0, 1, 2)), name)
        labels = check_labels(labels, len(images), name)
        pairs[split] = images, np.where(labels == 10, 0, labels)
    return Decoded(train=pairs["train"], test=pairs["test"])


def _read_mat(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import scipy.io

    if not path.is_file():
        raise UserError(f"{path} is missing; SVHN needs {' and '.join(SVHN_FILES.values())}")
    try:
        sizes = {name: shape for name, shape, _ in scipy.io.whosmat(path)}
        if math.prod(sizes["X"]) > 3072 * MOST_IMAGES or math.prod(sizes["y"]) > MOST_IMAGES:
            raise ValueError(f"X {list(sizes['X'])}, y {list(sizes['y'])}: too large")
        content = scipy.io.loadmat(path, variable_names=["X", "y"])
        images, labels = content["X"], content["y"]
    except Exception as error:  # a damaged file can raise nearly anything in scipy
        raise UserError(
            f"{path}: truncated, damaged or not an SVHN file ({reason(error)}). Fetch it again."
        ) from error
    if images.ndim != 4:
        raise UserError(f"{path}: X has shape {list(images.shape)}, expected [32, 32, 3, N]")
    return images, labels
