"""The `.npz`: four arrays, checked, on the training device; and E's features of them."""

from __future__ import annotations

import dataclasses
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sgan.config import ImageConfig
from sgan.encoder import Encoder

_DAMAGED = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error)  # what np.load raises


class BadInput(Exception):
    """What a person gave that cannot be used; the message says what and why."""


@dataclasses.dataclass
class Data:
    """A data set on the training device: uint8 [N, C, H, W] pixels and int64 [N] labels."""

    train: Tensor
    train_y: Tensor
    test: Tensor
    test_y: Tensor
    digest: str  # of the four arrays, so that other data are not taken for these

    @property
    def frequencies(self) -> list[int]:
        """Training images of each class, up to the highest label that there is."""
        return self.train_y.bincount().tolist()


def read_data(path: Path, image: ImageConfig, device: torch.device, batch: int) -> Data:
    """The four arrays of the `.npz`, checked: `batch` training images or more. Raises BadInput."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("x_train", "y_train", "x_test", "y_test")}
    except (*_DAMAGED, KeyError, TypeError) as error:
        raise BadInput(f"{path}: needs x_train, y_train, x_test and y_test ({error})") from error
    tensors, digest = [], 0
    channels, height, width = image.shape
    for split, least in (("train", batch), ("test", 1)):
        x, y = arrays[f"x_{split}"], arrays[f"y_{split}"].reshape(-1)
        digest = zlib.crc32(y.tobytes(), zlib.crc32(x.tobytes(), digest))
        x = x[..., None] if x.ndim == 3 else x
        if x.dtype != np.uint8 or x.shape[1:] != (height, width, channels):
            raise BadInput(
                f"{path}: x_{split} is {x.dtype} {x.shape}; this preset takes uint8 "
                f"[N, {height}, {width}, {channels}]"
            )
        if len(x) < least:
            raise BadInput(f"{path}: x_{split} has {len(x)} images; it takes {least} or more")
        if y.dtype.kind not in "iu":
            raise BadInput(f"{path}: y_{split} is {y.dtype}; it takes integers")
        if len(x) != len(y) or y.min() < 0 or y.max() >= image.num_classes:
            raise BadInput(
                f"{path}: y_{split} has {len(y)} labels from {y.min()} to {y.max()} for {len(x)} "
                f"images; it takes one of 0 to {image.num_classes - 1} per image"
            )
        tensors.append(torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))).to(device))
        tensors.append(torch.from_numpy(y.astype(np.int64)).to(device))
    train, train_y, test, test_y = tensors
    return Data(train, train_y, test, test_y, f"{digest:08x}")


@torch.no_grad()
def features(encoder: Encoder, pixels: Tensor) -> dict[int, Tensor]:
    """Columns for TensorBatches: pixels as level 0, then h_1 … h_{N-1} of every image."""
    parts = [encoder.encode(encoder.to_h0(part))[1:-1] for part in pixels.split(1000)]
    above = (torch.cat(column) for column in zip(*parts, strict=True))
    return {0: pixels, **dict(enumerate(above, start=1))}
