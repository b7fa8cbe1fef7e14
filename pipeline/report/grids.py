"""Grids of images with class labels: crisp, readable on light and on dark ground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.data.pixels import pillow
from pipeline.errors import UserError
from pipeline.report.captions import Font, captions
from pipeline.scores.extractor import check_images

if TYPE_CHECKING:
    from PIL import Image

INK = (118, 125, 136, 255)  # contrast above 4 on white and on black
TILE = 56


def grid(
    images: np.ndarray,
    columns: int,
    *,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    scale: int | None = None,
    gap: int = 2,
) -> Image.Image:
    """Lay images out row by row, `columns` to a row, as an RGBA image on transparent ground.

    images uint8 [N, H, W, C], C of 1 or 3. Each pixel becomes scale x scale pixels (default: tiles
    of at least 56 pixels), so nothing is blurred. `row_labels` stand at the left of each row (class
    names), `column_labels` above each column, as `captions` draws them; as many as rows and
    columns, or none.
    Raises UserError for wrong shapes, columns < 1 or a wrong number of labels.
    """
    from PIL import Image, ImageDraw

    check_images(images, "grid images")
    if columns < 1:
        raise UserError(f"grid: columns = {columns} is not allowed; give 1 or more")
    count, height, width, _ = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    for name, labels, wanted in (("row", row_labels, rows), ("column", column_labels, columns)):
        if labels and len(labels) != wanted:
            raise UserError(f"grid: {len(labels)} {name} labels for {wanted} {name}s")
    scale = scale or max(1, -(-TILE // max(height, width)))
    high, wide = height * scale, width * scale
    (row_labels, column_labels), font = _captions(row_labels, column_labels, high)
    left = _widest(row_labels, font) + 8 if row_labels else 0
    top = _tallest(column_labels, font) + 8 if column_labels else 0
    size = (left + columns * (wide + gap) - gap, top + rows * (high + gap) - gap)
    sheet = Image.new("RGBA", size, (0, 0, 0, 0))
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        pixels = np.repeat(np.repeat(image, scale, axis=0), scale, axis=1)
        tile = pillow(pixels)
        sheet.paste(tile.convert("RGBA"), (left + column * (wide + gap), top + row * (high + gap)))
    draw = ImageDraw.Draw(sheet)
    for row, label in enumerate(row_labels):
        centre = top + row * (high + gap) + high // 2
        draw.text((left - 8, centre), label, INK, font, anchor="rm")
    for column, label in enumerate(column_labels):
        centre = left + column * (wide + gap) + wide // 2
        draw.text((centre, top - 4), label, INK, font, anchor="md")
    return sheet


def _captions(
    row_labels: Sequence[str], column_labels: Sequence[str], high: int
) -> tuple[tuple[Sequence[str], Sequence[str]], Font]:
    """Both as they are drawn beside tiles of so many pixels, and the font."""
    texts, font = captions([*row_labels, *column_labels], max(11, min(20, high // 3)))
    return (texts[: len(row_labels)], texts[len(row_labels) :]), font


def _widest(labels: Sequence[str], font: Font) -> int:
    return int(max(font.getlength(label) for label in labels)) + 1


def _tallest(labels: Sequence[str], font: Font) -> int:
    return int(max(font.getbbox(label)[3] for label in labels))
