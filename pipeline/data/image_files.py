"""Image files of any origin as arrays of one shape."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.data.survey.damage import reason
from pipeline.data.survey.kinds import IMAGE_SUFFIXES
from pipeline.data.survey.listing import of_folder
from pipeline.data.survey.names import shown
from pipeline.errors import UserError

if TYPE_CHECKING:
    from PIL import Image


def image_files(path: Path) -> list[Path]:
    """The visible image files of a folder and of those below it or linked from there, sorted; or
    the one file.

    Raises UserError where there is none.
    """
    if path.is_file():
        return [path]
    entries = of_folder(path).entries if path.is_dir() else []
    files = [path / entry.path for entry in entries]
    found = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    if not found:
        missing = "no images in it" if path.is_dir() else "no such file or folder"
        raise UserError(f"{shown(path)}: {missing} ({', '.join(IMAGE_SUFFIXES)})")
    return found


def read_images(
    files: Sequence[Path], shape: tuple[int, int, int], resize: bool = False
) -> np.ndarray:
    """Files as uint8 [N, H, W, C], grey or RGB as C says.

    Args:
        files: as `pipeline.data.images.decode_image` takes them, like the stack's own data.
        shape: (C, H, W) of every image.
        resize: crop to a square and resize what has another size, instead of refusing it.

    Raises UserError naming the file that cannot be read or has another size.
    """
    from pipeline.data.depths import BadImage
    from pipeline.data.images import decode_image

    channels, height, width = shape
    images = np.empty((len(files), height, width, channels), np.uint8)
    for row, path in enumerate(files):
        try:
            image = decode_image(path.read_bytes(), side=height if resize else None)
        except (OSError, BadImage) as error:
            raise UserError(
                f"{shown(path)}: cannot be read as an image ({reason(error)})"
            ) from error
        images[row] = fitted(image, shape, resize, shown(path))
    return images


def fitted(
    image: "Image.Image", shape: tuple[int, int, int], resize: bool, where: str
) -> np.ndarray:
    """An image as uint8 [H, W, C]; arguments as of `read_images`.

    Raises UserError, which begins with `where`, for another size.
    """
    from pipeline.data.images import centre_resize

    channels, height, width = shape
    pixels = image.convert("L" if channels == 1 else "RGB")
    if resize and height == width:
        pixels = centre_resize(pixels, height)
    if pixels.size != (width, height):
        raise UserError(
            f"{where}: {pixels.width}x{pixels.height} pixels; needed are {width}x{height} "
            "(--resize crops to a square and resizes)"
        )
    return np.asarray(pixels).reshape(height, width, channels)
