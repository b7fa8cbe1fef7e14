"""Pixels that a file holds in another depth than eight bits, and the colour that it hides."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

DEEP = {"I;16", "I;16B", "I;16L", "I;16N", "I"}  # grey of 16 bits
GREY_ALPHA = "LA;16B"  # Pillow opens such a PNG as RGBA
_BITS, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # of a TIFF
_SHALLOW = {"L;2": 3, "L;4": 15}  # the largest grey of a PNG, which Pillow makes 255


class BadImage(ValueError):
    """Bytes that are no usable image; says why."""


def raw_mode(image: "ImageFile") -> str:
    """How a PNG holds its pixels, as Pillow calls it; "" for others, and once they are loaded."""
    arguments = image.tile[0].args if image.format == "PNG" and image.tile else ""
    return arguments if isinstance(arguments, str) else ""


def scale_hidden(image: "Image.Image", raw: str) -> None:
    """Put the colour that a PNG of raw mode `raw` hides (tRNS), which counts as the file does, in
    the eight bits of the pixels; of 16-bit colour these are the upper ones."""
    hidden = image.info.get("transparency")
    if raw in _SHALLOW and isinstance(hidden, int):
        image.info["transparency"] = (hidden & _SHALLOW[raw]) * 255 // _SHALLOW[raw]
    elif raw == "RGB;16B" and isinstance(hidden, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in hidden)


def eight_bits(image: "Image.Image") -> "Image.Image":
    """Deep grey as the upper eight bits of each pixel, as Pillow reads 16-bit colour; what is
    transparent is white. Raises BadImage for values of more than 16 bits, or of nobody knows how
    many."""
    from PIL import Image
    from PIL.TiffImagePlugin import TiffImageFile

    values = np.asarray(image)
    if values.min(initial=0) < 0 or values.max(initial=0) > 0xFFFF:
        raise BadImage(
            f"grey values from {values.min()} to {values.max()}; up to 16 bits are supported"
        )
    if isinstance(image, TiffImageFile):
        values = _of_tiff(image, values)
    hidden = image.info.get("transparency")
    if isinstance(hidden, int):
        values = np.where(values == hidden, 0xFFFF, values)
    deep = Image.fromarray((values >> 8).astype(np.uint8))
    deep.info = {k: v for k, v in image.info.items() if k == "exif"}
    return deep


def _of_tiff(image: "Image.Image", values: np.ndarray) -> np.ndarray:
    """Values from black, 0, to white, 65535, of what the tags say that they are."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    bits = int(np.ravel(tags.get(_BITS, 16))[0])
    if bits > 16 and 0 < values.max(initial=0) <= 0xFF:
        raise BadImage(
            f"grey values up to {values.max()} in {bits} bits, so that nobody knows which is "
            "white; save it in 8 or 16 bits"
        )
    values = values << max(0, 16 - bits)
    return 0xFFFF - values if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else values
