"""Encoded images (PNG, JPEG, …) into uint8 arrays of one size."""

import io
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

# What Pillow's readers raise on damaged files.
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, TypeError, struct.error)
_GREY = {"1", "L", "LA"}
_COLOUR = {"RGB", "RGBA", "RGBX", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB"}


class BadImage(ValueError):
    """Bytes that are no usable image; says why."""


def decode_image(content: bytes) -> "Image.Image":
    """An encoded image as PIL's L (grey) or RGB: the first frame of an animation, turned as its
    EXIF says, on white where it is transparent.

    Raises BadImage for what cannot be read, and for more than eight bits a channel.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            if image.mode not in _GREY | _COLOUR:
                raise BadImage(
                    f"pixel type {image.mode!r}; only 8-bit grey and colour are supported"
                )
            mode = "L" if image.mode in _GREY else "RGB"
            return _opaque(_upright(image)).convert(mode)
    except BadImage:
        raise
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        raise BadImage(_reason(content, error)) from error


@dataclass
class ImageCollector:
    """Decodes images one by one and stacks them.

    image_size: side in pixels to which each image is centre-cropped and resized; None keeps
        sizes, which then have to be equal.
    on_bad_image: `error` raises on the first unreadable image; `skip` counts it.
    """

    image_size: int | None
    on_bad_image: str
    skipped: int = 0
    _images: list[np.ndarray] = field(default_factory=list)
    _labels: list[int] = field(default_factory=list)
    _names: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._labels)

    def add(self, content: bytes, label: int, name: str) -> None:
        """Decode one image; `name` says where it is in error messages.

        Raises UserError for an unreadable image or an unsupported pixel type, unless skipping.
        """
        try:
            self._images.append(self._pixels(decode_image(content)))
        except BadImage as error:
            if self.on_bad_image == "skip":
                self.skipped += 1
                return
            raise UserError(
                f"{name}: cannot use this image ({error}). Mend, convert or remove it, or set "
                "data.on_bad_image: skip"
            ) from error
        self._labels.append(label)
        self._names.append(name)

    def _pixels(self, image: "Image.Image") -> np.ndarray:
        if self.image_size is not None:
            image = centre_resize(image, self.image_size)
        pixels = np.asarray(image)
        return pixels[..., None] if pixels.ndim == 2 else pixels

    def stack(self) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 [N, H, W, C] and labels int64 [N]; grey ones become RGB beside colour.

        Raises UserError for mixed sizes, naming two of the files; when skipping, images of
        another size than most have are left out and counted.
        """
        if self.on_bad_image == "skip":
            self._keep_commonest_size()
        if not self._images:
            return np.zeros((0, 1, 1, 1), np.uint8), np.zeros(0, np.int64)
        first = self._images[0].shape
        channels = max(image.shape[2] for image in self._images)
        for name, image in zip(self._names, self._images, strict=True):
            if image.shape[:2] != first[:2]:
                raise UserError(
                    f"mixed image sizes: {self._names[0]} is {first[1]}x{first[0]} and {name} is "
                    f"{image.shape[1]}x{image.shape[0]}. Set data.image_size, for example "
                    "data.image_size: 32, to crop and resize all to one square size."
                )
        stacked = np.empty((len(self._images), *first[:2], channels), np.uint8)
        for row, image in enumerate(self._images):
            stacked[row] = image
        return stacked, np.asarray(self._labels, dtype=np.int64)

    def _keep_commonest_size(self) -> None:
        sizes = [image.shape[:2] for image in self._images]
        kept = Counter(sizes).most_common(1)[0][0] if sizes else None
        rows = [row for row, size in enumerate(sizes) if size == kept]
        self.skipped += len(sizes) - len(rows)
        self._images = [self._images[row] for row in rows]
        self._labels = [self._labels[row] for row in rows]
        self._names = [self._names[row] for row in rows]


def _reason(content: bytes, error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if not content:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return "its content is of no image format that is known here"
    return str(error) or type(error).__name__


def _upright(image: "Image.Image") -> "Image.Image":
    """The image as viewers show it: turned as its EXIF says, where that can be read."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except _DAMAGED:
        return image


def _opaque(image: "Image.Image") -> "Image.Image":
    """The image on white where it is transparent, whose hidden colours mean nothing."""
    from PIL import Image

    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), layer)


def centre_resize(image: "Image.Image", size: int) -> "Image.Image":
    """A PIL image centre-cropped to a square and resized to `size` pixels (Lanczos)."""
    from PIL import Image

    if image.size == (size, size):
        return image
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    # Not resize(box=...): its filter reaches beyond the box.
    return image.crop(box).resize((size, size), Image.Resampling.LANCZOS)


def resize_all(images: np.ndarray, size: int | None) -> np.ndarray:
    """uint8 [N, H, W, C] cropped and resized to [N, size, size, C]; as it is for None."""
    if size is None or images.shape[1:3] == (size, size):
        return images
    from PIL import Image

    resized = np.empty((len(images), size, size, images.shape[3]), np.uint8)
    for row, image in enumerate(images):
        pixels = image[..., 0] if image.shape[2] == 1 else image
        small = np.asarray(centre_resize(Image.fromarray(pixels), size))
        resized[row] = small.reshape(size, size, -1)
    return resized
