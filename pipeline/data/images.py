"""Encoded images (PNG, JPEG, …) into uint8 arrays of one size."""

import io
import warnings
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pipeline.data.depths import (
    DEEP,
    GREY_ALPHA,
    BadImage,
    eight_bits,
    raw_mode,
    scale_hidden,
)
from pipeline.data.scratch import Images, Scratch
from pipeline.data.survey.bounds import MOST_PIXELS
from pipeline.data.survey.damage import DAMAGED, reason
from pipeline.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

_GREY = {"1", "L", "LA"}
_COLOUR = {"RGB", "RGBA", "RGBX", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB"}


# Pixels a side, of all that the nets take: sgan.config.EncoderConfig.check_image
LARGEST = 128
Sides = Sequence[int] | None  # ascending; None: any size, square or not
ANY_SIDE = range(1, LARGEST + 1)
# Those that the suffixes of `kinds` name: Pillow would start Ghostscript for an EPS called .png.
_FORMATS = (
    "PNG", "JPEG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "TGA", "PCX",
    "SGI", "ICO", "DDS", "AVIF",
)  # fmt: skip
# A photo that is made smaller may be read at an eighth, a quarter or half of its size where that is
# still so many times the side that it is made to: what is lost there does not show.
_GAP = 4
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


def decode_image(
    content: bytes,
    look: Callable[[tuple[int, int]], None] = lambda _: None,
    side: int | None = None,
) -> "Image.Image":
    """An encoded image as PIL's L (grey) or RGB: the first frame of an animation, turned as its
    EXIF says, on white where it is transparent, of 16 bits the upper eight.

    look: is told (width, height) before the pixels are decoded, and may refuse them.
    side: to which `centre_resize` makes it; a JPEG photo much larger than that comes smaller, by
        the same factor both ways, so that its memory and time go by `side`.
    Raises BadImage for what cannot be read, and for other types of pixels.
    """
    from PIL import Image

    try:
        try:
            return _decoded(content, look, side)
        except ValueError as error:
            if "MAX_TEXT" not in str(error):
                raise
            return _decoded(_without_text(content), look, side)
    except BadImage:
        raise
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise BadImage(_reason(content, error)) from error


def _decoded(
    content: bytes, look: Callable[[tuple[int, int]], None], side: int | None
) -> "Image.Image":
    from PIL import Image

    with warnings.catch_warnings():  # of large images, on which the bound below decides
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        opened = Image.open(io.BytesIO(content), formats=_FORMATS)
    with opened as image:
        look(image.size)
        if image.width * image.height > MOST_PIXELS:
            raise BadImage(
                f"{image.width}x{image.height} pixels; at most {MOST_PIXELS:,} are decoded"
            )
        if side is not None:
            image.draft(None, (_GAP * side, _GAP * side))
        raw = raw_mode(image)
        image.load()
        if image.mode in DEEP:
            return _upright(eight_bits(image))
        if image.mode not in _GREY | _COLOUR:
            raise BadImage(
                f"pixel type {image.mode!r}; only grey and colour of 8 or 16 bits are supported"
            )
        scale_hidden(image, raw)
        mode = "L" if image.mode in _GREY or raw == GREY_ALPHA else "RGB"
        opaque = _opaque(_upright(image))
        return opaque if opaque.mode == mode else opaque.convert(mode)


def _without_text(content: bytes) -> bytes:
    """A PNG without its chunks of text and its colour profile, of which Pillow reads a megabyte."""
    kept, at = [content[:8]], 8
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] not in _TEXT_CHUNKS:
            kept.append(content[at:end])
        at = end
    return b"".join(kept)


@dataclass
class ImageCollector:
    """Decodes images one by one and keeps them on the disk, see `scratch`.

    image_size: side in pixels to which each image is centre-cropped and resized; None keeps
        sizes, which then have to be equal.
    on_bad_image: `error` raises on the first unreadable image, and on the first of another size;
        `skip` counts them.
    sides: where sizes are kept, an image that is not a square of one of these sides, in pixels,
        is an error at once.
    first: name and size (H, W) of the image that gives the others their size.
    misfit: why the first one that was skipped for its size was.
    """

    image_size: int | None
    on_bad_image: str
    sides: Sides = None
    first: tuple[str, tuple[int, int]] | None = None
    skipped: int = 0
    misfit: str = ""
    _scratch: Scratch = field(default_factory=Scratch)
    _labels: "array[int]" = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        return len(self._labels)

    def add(self, content: bytes, label: int, name: str) -> None:
        """Decode one image; `name` says where it is in error messages.

        Raises UserError for an unreadable image, an unsupported pixel type or, where sizes are
        kept, another size than the first image's, unless skipping; and for a full disk.
        """
        try:
            image = decode_image(content, lambda size: self._look(size, name), self.image_size)
        except BadImage as error:
            if self.on_bad_image == "skip":
                self.skipped += 1
                return
            raise UserError(
                f"{name}: cannot use this image ({error}). Mend, convert or remove it, or set "
                "data.on_bad_image: skip"
            ) from error
        if self.image_size is not None:
            image = centre_resize(image, self.image_size)
        pixels = np.asarray(image)
        self._keep(pixels[None, ..., None] if pixels.ndim == 2 else pixels[None], [label], name)

    def add_rows(self, images: np.ndarray, labels: np.ndarray, name: str) -> None:
        """Take images uint8 [n, H, W, C] and labels int64 [n]. Raises as `add`."""
        self._keep(resize_all(images, self.image_size), labels.tolist(), name)

    def _keep(self, images: np.ndarray, labels: list[int], name: str) -> None:
        if self.on_bad_image == "error" and self.image_size is None:
            self._require_size((images.shape[1], images.shape[2]), name)
        self._scratch.append(images)
        self._labels.extend(labels)

    def _look(self, size: tuple[int, int], name: str) -> None:
        """Refuse an image for its (width, height), which its EXIF may yet turn, before it costs
        memory and time."""
        if self.image_size is not None:
            return
        width, height = size
        unfit = self.sides is not None and (width != height or width not in self.sides)
        if self.on_bad_image == "skip":
            if unfit:
                self.misfit = self.misfit or f"{name} is {width}x{height} pixels"
                raise BadImage(f"{width}x{height} pixels")
        elif unfit and self.first is None:
            self._require_size((height, width), name)
        elif self.first is not None and sorted(size) != sorted(self.first[1]):
            self._require_size((height, width), name)

    def _require_size(self, size: tuple[int, int], name: str) -> None:
        if self.first is None:
            self.first = (name, size)
            if self.sides is not None and (size[0] != size[1] or size[0] not in self.sides):
                raise UserError(
                    f"{name}: images are {size[1]}x{size[0]} pixels; they must be "
                    f"{allowed_sides(self.sides)}. {_remedy(self.sides)}"
                )
        elif size != self.first[1]:
            other, (height, width) = self.first
            raise UserError(
                f"mixed image sizes: {other} is {width}x{height} and {name} is "
                f"{size[1]}x{size[0]}. Set data.image_size, for example "
                "data.image_size: 32, to crop and resize all to one square size."
            )

    def stack(self) -> tuple[Images, np.ndarray]:
        """Images uint8 [N, H, W, C] and labels int64 [N]; grey ones become RGB beside colour.

        When skipping, images of another size than most have are left out and counted.
        """
        if not len(self) and self.misfit:
            sides = self.sides or ANY_SIDE
            raise UserError(
                f"no image fits: {self.misfit}; they must be "
                f"{allowed_sides(sides)}. "
                f"{_remedy(sides)}"
            )
        if not len(self):
            return np.zeros((0, 1, 1, 1), np.uint8), np.zeros(0, np.int64)
        sizes = self._scratch.sizes()
        kept = sizes == np.bincount(sizes).argmax()
        self.skipped += int((~kept).sum())
        return self._scratch.images(kept), np.asarray(self._labels, np.int64)[kept]


def allowed_sides(sides: Sequence[int]) -> str:
    """Which sizes are taken, in words."""
    if len(sides) == 1:
        return f"square, of {sides[0]} pixels a side"
    step = sides[1] - sides[0]
    if step == 1 and sides[0] == 1:
        return f"square, of at most {sides[-1]} a side"
    return f"square, of {sides[0]} to {sides[-1]} pixels a side, divisible by {step}"


def _remedy(sides: Sequence[int]) -> str:
    size = 32 if 32 in sides else sides[-1]
    return f"Set data.image_size, for example data.image_size: {size}, to crop and resize them."


def _reason(content: bytes, error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if not content:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return "its content is of no image format that is known here"
    return reason(error)


def _upright(image: "Image.Image") -> "Image.Image":
    """The image as viewers show it: turned as its EXIF says, where that can be read."""
    from PIL import ImageOps

    with suppress(*DAMAGED):
        ImageOps.exif_transpose(image, in_place=True)
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
    square = image if box == (0, 0, *image.size) else image.crop(box)
    return square.resize((size, size), Image.Resampling.LANCZOS)


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
