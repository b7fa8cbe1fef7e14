"""Decoded images for Pillow, and as PNGs."""

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image


def pillow(image: np.ndarray) -> "Image.Image":
    """uint8 [H, W, C] as Pillow's L (C = 1) or RGB (C = 3)."""
    from PIL import Image

    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def png(image: np.ndarray) -> bytes:
    """uint8 [H, W, C] as the content of a PNG file, grey for one channel."""
    buffer = io.BytesIO()
    pillow(image).save(buffer, "PNG")
    return buffer.getvalue()
