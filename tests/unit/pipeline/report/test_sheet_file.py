"""A sheet on disk: whole, and in the place of the one before it."""

from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.report.sheet_file import write_sheet
from pipeline.scores.studies import Sheet


def test_a_sheet_is_a_png_with_its_images_side_by_side(tmp_path: Path) -> None:
    images = np.zeros((6, 28, 28, 1), np.uint8)
    images[1] = 255
    path = tmp_path / "new" / "sheet.png"
    for columns in (6, 3):
        write_sheet(path, Sheet(images, columns))
    assert [file.name for file in path.parent.iterdir()] == ["sheet.png"]
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.size == (3 * 56 + 2 * 2, 2 * 56 + 2)
        pixels = np.asarray(image.convert("L"))
    assert (pixels[:56, 58 : 58 + 56] == 255).all() and (pixels[:56, :56] == 0).all()
