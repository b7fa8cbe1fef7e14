"""Image files of any origin as arrays of one shape."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.data.archives import IMAGE_SUFFIXES, is_hidden
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.scores.inputs import RealImages

_FEWEST = 100


def image_files(path: Path) -> list[Path]:
    """The visible image files of a folder and of those below it, sorted; or the one file.

    Raises UserError where there is none.
    """
    if path.is_file():
        return [path]
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in IMAGE_SUFFIXES
        and file.is_file()
        and not any(is_hidden(part) for part in file.relative_to(path).parts)
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
        files: as `pipeline.data.images.decode_image` takes them, like the stack's own data.
        shape: (C, H, W) of every image.
        resize: crop to a square and resize what has another size, instead of refusing it.

    Raises UserError naming the file that cannot be read or has another size.
    """
    from pipeline.data.images import BadImage, centre_resize, decode_image

    channels, height, width = shape
    images = np.empty((len(files), height, width, channels), np.uint8)
    for row, path in enumerate(files):
        try:
            image = decode_image(path.read_bytes())
        except (OSError, BadImage) as error:
            raise UserError(f"{path}: cannot be read as an image ({error})") from error
        pixels = image.convert("L" if channels == 1 else "RGB")
        if resize and height == width:
            pixels = centre_resize(pixels, height)
        if pixels.size != (width, height):
            raise UserError(
                f"{path}: {pixels.width}x{pixels.height} pixels; needed are {width}x{height} "
                "(--resize crops to a square and resizes)"
            )
        images[row] = np.asarray(pixels).reshape(height, width, channels)
    return images


def folder_images(
    folder: Path, real: "RealImages", resize: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Images uint8 [N, H, W, C] of a folder, and their labels int64 [N] where it has classes.

    A subfolder is a class, by the name that the real data gives it or by its number.
    Raises UserError for unknown classes, images beside subfolders, and too few images.
    """
    from pipeline.data.collections import class_folders

    height, width, channels = real.train_images.shape[1:]
    shape = (channels, height, width)
    inside = class_folders(folder)
    files, labels = [], []
    for entry in inside:
        found = image_files(entry)
        if len(found) < 2:
            raise UserError(f"{entry}: {len(found)} image; a class needs two or more")
        files += found
        labels += [_class_of(entry, real.classes)] * len(found)
    if not inside:
        files = image_files(folder)
    elif any(file.parent == folder for file in image_files(folder)):
        raise UserError(f"{folder}: images beside class folders; put them into one of these")
    fewest = max(_FEWEST, 2 * len(real.classes))
    if len(files) < fewest:
        raise UserError(f"{folder}: {len(files)} images; scores need {fewest} or more")
    images = read_images(files, shape, resize)
    return images, np.asarray(labels, dtype=np.int64) if inside else None


def _class_of(folder: Path, classes: tuple[str, ...]) -> int:
    names = [name.lower() for name in classes]
    if folder.name.lower() in names:
        return names.index(folder.name.lower())
    if folder.name.isdecimal() and int(folder.name) < len(classes):
        return int(folder.name)
    raise UserError(f"{folder}: no class of the data; there are {', '.join(classes)}")
