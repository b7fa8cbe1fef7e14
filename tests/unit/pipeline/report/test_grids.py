"""Grids: every pixel where it belongs, crisp, with room for labels."""

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.report.grids import grid

RNG = np.random.default_rng(0)


def test_pixels_are_repeated_and_nothing_is_blurred() -> None:
    images = RNG.integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    sheet = np.asarray(grid(images, 3, scale=4, gap=2))
    assert sheet.shape == (2 * 16 + 2, 3 * 24 + 2 * 2, 4)
    for index, image in enumerate(images):
        row, column = divmod(index, 3)
        tile = sheet[row * 18 : row * 18 + 16, column * 26 : column * 26 + 24]
        np.testing.assert_array_equal(tile[::4, ::4, :3], image)
        np.testing.assert_array_equal(tile[..., :3], image.repeat(4, 0).repeat(4, 1))
        assert (tile[..., 3] == 255).all()
    assert (sheet[:, 24:26, 3] == 0).all()  # gaps are transparent
    assert (sheet[18:, 52:, 3] == 0).all()  # and so is the place of a missing sixth image


def test_grey_images_and_the_default_scale() -> None:
    images = RNG.integers(0, 256, (2, 28, 28, 1), dtype=np.uint8)
    sheet = np.asarray(grid(images, 5))
    assert sheet.shape == (56, 2 * 56 + 2, 4)
    np.testing.assert_array_equal(sheet[::2, :56:2, 1], images[0, ..., 0])


def test_labels_take_room_beside_and_above() -> None:
    images = np.zeros((4, 28, 28, 1), np.uint8)
    bare, labelled = (
        grid(images, 2),
        grid(images, 2, row_labels=["cat", "aeroplane"], column_labels=["real", "rebuilt"]),
    )
    left, top = labelled.width - bare.width, labelled.height - bare.height
    assert left > 40 and 10 < top < 60
    alpha = np.asarray(labelled)[..., 3]
    assert (alpha[top:, :left] > 0).any() and (alpha[:top, left:] > 0).any()
    assert (alpha[:top, :left] == 0).all()


def test_refusals() -> None:
    images = np.zeros((4, 8, 8, 1), np.uint8)
    with pytest.raises(UserError, match="columns = 0"):
        grid(images, 0)
    with pytest.raises(UserError, match="1 row labels for 2 rows"):
        grid(images, 2, row_labels=["a"])
    with pytest.raises(UserError, match="uint8"):
        grid(images.astype(np.float32), 2)
