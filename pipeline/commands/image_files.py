"""Image files of any origin as arrays of one shape."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.data.archives import IMAGE_SUFFIXES
from pipeline.errors import UserError

_DEEP = ("I", "F")  # modes of more than eight bits a channel


def image_files(path: Path) -> list[Path]:
    """The visible image files of a folder and of those below it, sorted; or the one file.

    Raises UserError where there is none.
    """
    if path.is_file():
        return [path]
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file() and file.name[0] != "."
    )
    if not found:
        missing = "no images in it" if path.is_dir() else "no such file or folder"
        raise UserError(f"{path}: {missing} ({', '.join(IMAGE_SUFFIXES)})")
    return found


def read_images(
    files: Sequence[Path], shape: tuple[int, int, int], resize: bool = False
) -> np.ndarray:
    """Files as uint8 [N, H, W, C], grey or RGB as C says.

    Args:
        files: anything that Pillow reads, eight bits a channel.
        shape: (C, H, W) of every image.
        resize: crop to a square and resize what has another size, instead of refusing it.

    Raises UserError naming the file that cannot be read or has another size.
    """
    from PIL import Image

    from pipeline.data.images import centre_resize

    channels, height, width = shape
    images = np.empty((len(files), height, width, channels), np.uint8)
    for row, path in enumerate(files):
        try:
            with Image.open(path) as image:
                if image.mode.split(";")[0] in _DEEP:
                    raise UserError(
                        f"{path}: pixel type {image.mode}; save it with 8 bits a channel"
                    )
                pixels = image.convert("L" if channels == 1 else "RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise UserError(f"{path}: cannot be read as an image ({error})") from error
        if resize and height == width:
            pixels = centre_resize(pixels, height)
        if pixels.size != (width, height):
            raise UserError(
                f"{path}: {pixels.width}x{pixels.height} pixels; needed are {width}x{height} "
                "(--resize crops to a square and resizes)"
            )
        images[row] = np.asarray(pixels).reshape(height, width, channels)
    return images
