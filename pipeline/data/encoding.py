"""Encoding the training split once: a column per h_i, and the labels, in the images' row order."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.data import shards
from pipeline.data.ahead import ahead
from pipeline.data.feature_writer import Writer
from pipeline.data.features import LABELS, column
from pipeline.data.manifest import Manifest
from pipeline.threads import side_by_side

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from sgan.encoder import Encoder

_MOST_ROWS, _MOST_BYTES = 1000, 1 << 22  # of images read at once
_CPU_ROWS = 100  # encoded at once on a CPU: their maps then stay in its cache


def encode_split(
    encoder: "Encoder", data: str | Path, target: Path, about: Mapping[str, str]
) -> tuple[list[str], int]:
    """Write h_1 … h_{N-1} float32 [rows, *h_i] and y int64 [rows] of the training images.

    Args:
        encoder: E, frozen, on the device that encodes.
        data: folder or address of the shards.
        target: the Arrow file to write, atomically.
        about: facts kept in the file.

    Returns:
        The names of the h_i columns, and the number of rows.

    Raises:
        UserError: missing or damaged shards; then nothing is written.
    """
    import torch

    device = encoder.mean_image.device
    manifest = Manifest.load(data)
    count = manifest.rows("train")
    size = max(1, min(_MOST_ROWS, _MOST_BYTES // math.prod(manifest.image_shape)))
    inner = range(1, encoder.num_levels)
    rows_each = _CPU_ROWS if device.type == "cpu" else size

    def encoded(images: "np.ndarray") -> "list[Tensor]":
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).to(device)
        with torch.no_grad():
            hidden = encoder.encode(encoder.to_h0(pixels))
        return [hidden[i].cpu() for i in inner]

    with torch.no_grad():
        probe = encoder.encode(torch.zeros(1, *manifest.image_shape, device=device))
    shapes = {column(i): tuple(probe[i].shape[1:]) for i in inner} | {LABELS: ()}
    with Writer(target, count, shapes, about, {LABELS: "int64"}) as writer:
        for rows in ahead(shards.in_order(data, "train", size)):
            parts = [
                rows.images[start : start + rows_each]
                for start in range(0, len(rows.images), rows_each)
            ]
            each = zip(*side_by_side(encoded, parts), strict=True)
            batch = {column(i): torch.cat(h).numpy() for i, h in zip(inner, each, strict=True)}
            writer.append({**batch, LABELS: rows.labels})
    return [column(i) for i in inner], count
