"""Images as they are handed out: one sheet, a zip of PNGs, or JSON."""

from __future__ import annotations

import base64
import io
import math
import zipfile
from typing import Any

import numpy as np

from pipeline.data.pixels import png
from pipeline.report.grids import grid
from pipeline.serving.questions import Order, Samples
from sgan.drawing import seeds_from


def sheet(images: np.ndarray, question: Samples) -> bytes:
    """One PNG of all images uint8 [N, H, W, C], as `sgan sample` lays them out."""
    columns = question.columns or round(math.sqrt(len(images)))
    drawn = grid(images, columns, scale=question.scale, gap=question.gap)
    out = io.BytesIO()
    drawn.save(out, "PNG")
    return out.getvalue()


def zipped(images: np.ndarray, order: Order) -> bytes:
    """A zip of single PNGs, each named by its class and its seed; the same bytes for a seed."""
    out = io.BytesIO()
    label = int(order.y[0])
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for index, (image, seed) in enumerate(
            zip(images, seeds_from(order.seed, len(images)), strict=True)
        ):
            name = f"{index:03d}-class{label}-seed{seed}.png"
            archive.writestr(zipfile.ZipInfo(name), png(image))
    return out.getvalue()


def told(images: np.ndarray, order: Order) -> dict[str, Any]:
    """Every image as a PNG in base64, with its label, its seed and its z_i."""
    seeds = seeds_from(order.seed, len(images))
    return {
        "model": order.model.address,
        "version": order.model.version,
        "seed": order.seed,
        "images": [
            {
                "label": int(order.y[k]),
                "class": order.model.classes[int(order.y[k])],
                "seed": seeds[k],
                "z": {str(i): order.z[i][k].tolist() for i in sorted(order.z)},
                "png": base64.b64encode(png(image)).decode(),
            }
            for k, image in enumerate(images)
        ],
    }
