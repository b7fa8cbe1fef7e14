"""Arrays as PNGs: nothing is lost, and one channel is grey."""

import io

import numpy as np
from PIL import Image

from pipeline.data.pixels import png

COLOUR = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_a_png_is_of_the_image_s_own_size_and_mode() -> None:
    assert np.array_equal(pixels(png(COLOUR)), COLOUR)
    assert np.array_equal(pixels(png(COLOUR[..., :1])), COLOUR[..., 0])
