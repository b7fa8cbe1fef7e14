"""Decoders of CIFAR-10's published forms: pickled batches, binary batches and PNG sheets."""

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.dataset import check_labels
from pipeline.data.decoded import Decoded
from pipeline.data.survey.arrays import CIFAR_BATCHES as BATCHES
from pipeline.data.survey.arrays import CIFAR_ENDINGS
from pipeline.data.survey.arrays import CIFAR_SHEET_LABELS as SHEET_LABELS
from pipeline.data.survey.damage import damage_told, reason
from pipeline.errors import UserError

_PIXELS = 32 * 32 * 3
# All that a pickled batch of arrays needs; anything else could run code.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


def cifar_form(folder: Path) -> str | None:
    """Which form lies in `folder`: python, binary, sheets, or None."""
    first = BATCHES["train"][0]
    forms = CIFAR_ENDINGS.items()
    return next((form for form, ending in forms if (folder / (first + ending)).is_file()), None)


def decode_cifar(folder: Path) -> Decoded:
    """CIFAR-10 from any of its forms, images uint8 [N, 32, 32, 3] in the published order.

    Raises UserError for missing or damaged files.
    """
    form = cifar_form(folder)
    if form is None:
        raise UserError(f"{folder}: no CIFAR-10 batches; expected {BATCHES['train'][0]} and others")
    read = {"python": _python_split, "binary": _binary_split, "sheets": _sheets_split}[form]
    return Decoded(train=read(folder, "train"), test=read(folder, "test"))


def _need(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path} is missing; the data set is incomplete. Fetch it again.")
    return path


def _planes_to_images(rows: np.ndarray) -> np.ndarray:
    """uint8 [N, 3072] of red, green and blue planes -> uint8 [N, 32, 32, 3]."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _python_split(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    batches = [_unpickle(_need(folder / name)) for name in BATCHES[split]]
    images = _planes_to_images(np.concatenate([data for data, _ in batches]))
    labels = np.concatenate([labels for _, labels in batches])
    return images, check_labels(labels, len(images), str(folder))


class _BatchUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"refused {module}.{name}, which no CIFAR-10 batch needs")
        return super().find_class(module, name)


def _unpickle(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        # Python 2 wrote these: latin1 maps its byte strings one to one.
        batch = _BatchUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        data = np.asarray(batch["data"])
        if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != _PIXELS:
            raise ValueError(f"data is {data.dtype} {list(data.shape)}, not uint8 [N, {_PIXELS}]")
        return data, np.asarray(batch["labels"])
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise UserError(
            f"{path}: damaged, or not a CIFAR-10 batch ({reason(error)}). Fetch it again."
        ) from error


def _binary_split(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    contents = []
    for name in BATCHES[split]:
        path = _need(folder / f"{name}.bin")
        content = np.fromfile(path, np.uint8)
        if len(content) % (_PIXELS + 1):
            raise UserError(
                f"{path}: {len(content)} bytes, not a multiple of {_PIXELS + 1}: truncated. "
                "Fetch it again."
            )
        contents.append(content.reshape(-1, _PIXELS + 1))
    rows = np.concatenate(contents)
    return _planes_to_images(rows[:, 1:]), check_labels(rows[:, 0], len(rows), str(folder))


def _sheets_split(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """One image per row of a sheet: RGB, 1024 pixels wide."""
    from PIL import Image

    sheets = []
    for name in BATCHES[split]:
        path = _need(folder / f"{name}.png")
        with damage_told(f"{path}: damaged", "Fetch it again.", Image.DecompressionBombError):
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
        if pixels.shape[1] != 32 * 32:
            raise UserError(f"{path}: {pixels.shape[1]} pixels wide, expected 1024")
        sheets.append(pixels.reshape(-1, 32, 32, 3))
    images = np.concatenate(sheets)
    labels_path = _need(folder / SHEET_LABELS[split])
    with damage_told(f"{labels_path}: not a JSON list of labels", "Fetch it again."):
        labels = np.asarray(json.loads(labels_path.read_bytes()))
    return images, check_labels(labels, len(images), str(labels_path))
