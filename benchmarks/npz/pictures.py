"""What a training leaves to look at: grids of samples, and its curves."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.storage.atomic import atomic_path, write_bytes
from sgan.stack import Stack

SHOWN = ("loss_d_adv", "loss_q", "loss_g_adv", "loss_g_cond", "loss_g_ent", "loss")


def write_png(path: Path, image: np.ndarray) -> None:
    """uint8 [H, W, 1 or 3] as a PNG (the format's own filter 0, zlib), atomically."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    height, width, channels = image.shape
    colour = {1: 0, 3: 2}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    lines = np.zeros((height, 1 + width * channels), np.uint8)
    lines[:, 1:] = image.reshape(height, -1)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
    write_bytes(path, b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""))


def write_grid(path: Path, stack: Stack, columns: int, seed: int = 0) -> None:
    """Samples of a stack as a PNG: a row per class. The stack is in eval mode afterwards."""
    classes = stack.config.image.num_classes
    y = torch.arange(classes, device=stack.encoder.mean_image.device).repeat_interleave(columns)
    noise = torch.Generator(y.device).manual_seed(seed)
    images = stack.eval().sample_uint8(y, generator=noise).cpu().numpy()
    rows = images.reshape(classes, columns, *images.shape[1:])
    write_png(path, np.concatenate(np.concatenate(rows, 1), 1))


def curves(log: Path, target: Path) -> bool:
    """A panel for each part and loss of the log, by images seen; False where there is no
    matplotlib to draw it, or nothing to draw."""
    series: dict[tuple[str, str], list[tuple[int, float]]] = {}
    lines = log.read_text().splitlines() if log.is_file() else []
    for line in lines:
        for place, value in _losses(json.loads(line)):
            series.setdefault(place, []).append(value)
    if not series or find_spec("matplotlib") is None:
        return False
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    columns = min(4, len(series))
    rows = -(-len(series) // columns)
    size = (4 * columns, 2.4 * rows)
    figure, panels = pyplot.subplots(rows, columns, figsize=size, layout="constrained")
    for panel, ((part, loss), points) in zip(np.ravel(panels), series.items(), strict=False):
        panel.plot(*zip(*points, strict=True), linewidth=1, marker=".", markersize=3)
        panel.set_title(f"{part}: {loss}", fontsize=9)
    for panel in np.ravel(panels)[len(series) :]:
        panel.set_axis_off()
    with atomic_path(target) as temporary:
        figure.savefig(temporary, dpi=90)
    pyplot.close(figure)
    return True


def _losses(row: Mapping[str, Any]) -> list[tuple[tuple[str, str], tuple[int, float]]]:
    """((part, loss), (images, value)) of a line of the log."""
    return [
        ((row["part"], name), (row["images"], value))
        for name, value in row.items()
        if name.rpartition("/")[2] in SHOWN
    ]
