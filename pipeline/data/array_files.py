"""Decoders of arrays on disk: IDX (MNIST's format), .npz, and SVHN's .mat files."""

import gzip
import zipfile
import zlib
from pathlib import Path

import numpy as np

from pipeline.data.dataset import check_images, check_labels
from pipeline.data.decoded import Decoded
from pipeline.errors import UserError
from pipeline.params.named_sets import IDX_FILES, SVHN_FILES

_IDX_UINT8 = 0x08


def find_idx(folder: Path) -> dict[str, Path] | None:
    """The IDX files of `folder` by array name, raw or .gz; None without training images.

    Both usual spellings are found: `train-images-idx3-ubyte` and `train-images.idx3-ubyte`.
    """
    found: dict[str, Path] = {}
    for array, name in IDX_FILES.items():
        for spelling in (name, name.replace("-idx", ".idx")):
            for path in (folder / spelling, folder / f"{spelling}.gz"):
                if path.is_file():
                    found.setdefault(array, path)
    return found if "train_images" in found else None


def read_idx(path: Path) -> np.ndarray:
    """One IDX file of bytes (raw or .gz) as a uint8 array of the shape that its header gives.

    Raises UserError for a truncated or damaged file, or another element type than bytes.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: truncated or damaged ({error}). Fetch it again.") from error
    if len(content) < 4 or content[:2] != b"\0\0":
        raise UserError(f"{path}: not an IDX file (it must begin with two zero bytes)")
    if content[2] != _IDX_UINT8:
        raise UserError(f"{path}: IDX element type 0x{content[2]:02x}; only bytes (0x08) are read")
    start = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:start], dtype=">u4").astype(np.int64)
    expected = start + int(np.prod(shape))
    if len(shape) != content[3] or len(content) != expected:
        raise UserError(
            f"{path}: {len(content)} bytes where its header promises {expected}: truncated or "
            "damaged. Fetch it again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def decode_idx(folder: Path) -> Decoded:
    """The four IDX files of a folder (the test pair is optional).

    Raises UserError for missing, damaged or mismatched files.
    """
    found = find_idx(folder)
    if found is None:
        names = " and ".join(list(IDX_FILES.values())[:2])
        raise UserError(f"{folder}: no IDX data; expected {names} (raw or .gz)")
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
        images = check_images(read_idx(paths[0]), str(paths[0]))
        pairs[split] = images, check_labels(read_idx(paths[1]), len(images), str(paths[1]))
    return Decoded(train=pairs["train"], test=pairs.get("test"))


def decode_npz(path: Path) -> Decoded:
    """An .npz with x_train, y_train (and x_test, y_test), or images and labels; optionally
    `classes`, the names by label.

    Raises UserError for a damaged file, missing arrays, or unsupported dtypes and shapes.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path}: truncated, damaged, or not a plain .npz ({error}). Write it with numpy.savez "
            "from arrays of numbers."
        ) from error
    names = next(
        (pair for pair in (("x_train", "y_train"), ("images", "labels")) if pair[0] in arrays), None
    )
    if names is None or names[1] not in arrays:
        raise UserError(
            f"{path}: holds {sorted(arrays)}; expected x_train and y_train (with x_test and "
            "y_test), or images and labels"
        )
    train = _npz_pair(path, arrays, *names)
    has_test = {"x_test", "y_test"} & set(arrays)
    if len(has_test) == 1:
        raise UserError(f"{path}: has {has_test.pop()} alone; give both x_test and y_test, or none")
    test = _npz_pair(path, arrays, "x_test", "y_test") if has_test else None
    classes = tuple(str(name) for name in arrays["classes"]) if "classes" in arrays else None
    return Decoded(train=train, test=test, classes=classes)


def _npz_pair(
    path: Path, arrays: dict[str, np.ndarray], images_name: str, labels_name: str
) -> tuple[np.ndarray, np.ndarray]:
    images = check_images(arrays[images_name], f"{path}: {images_name}")
    labels = check_labels(arrays[labels_name], len(images), f"{path}: {labels_name}")
    return images, labels


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
        content = scipy.io.loadmat(path)
        images, labels = content["X"], content["y"]
    except Exception as error:  # a damaged file can raise nearly anything in scipy
        raise UserError(
            f"{path}: truncated, damaged or not an SVHN file ({error}). Fetch it again."
        ) from error
    if images.ndim != 4:
        raise UserError(f"{path}: X has shape {list(images.shape)}, expected [32, 32, 3, N]")
    return images, labels
