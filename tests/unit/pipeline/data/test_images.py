"""One encoded image into pixels: turns, transparency, and why it cannot be used."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.data.images import ImageCollector, centre_resize, decode_image
from pipeline.errors import UserError


def collect(content: bytes) -> np.ndarray:
    collector = ImageCollector(None, "error")
    collector.add(content, 0, "photo")
    return np.asarray(collector.stack()[0])[0]


def saved(image: Image.Image, form: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def test_photos_are_turned_as_their_exif_says():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: show it turned by a quarter, clockwise
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    expected = np.rot90(np.asarray(image), -1)
    np.testing.assert_array_equal(collect(saved(image, exif=exif))[..., 0], expected)


def test_damaged_exif_leaves_the_photo_as_it_is():
    image = Image.fromarray(np.zeros((4, 4), np.uint8))
    content = saved(image, "WEBP", lossless=True, exif=b"Exif\0\0 no such thing")
    assert collect(content).shape == (4, 4, 3)


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA"])
def test_transparent_pixels_are_white_whatever_they_hide(mode, recwarn):
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[0] = [200, 200, 200, 255]
    rgba[1] = [13, 13, 13, 0]
    image = Image.fromarray(rgba)
    pixels = collect(saved(image.quantize(4) if mode == "P" else image.convert(mode)))
    assert (pixels[0] == 200).all() and (pixels[1] == 255).all()
    assert pixels.shape == (2, 2, 1 if mode == "LA" else 3)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "the file is empty"), (b"<html>", "its content is of no image format")],
)
def test_why_an_image_cannot_be_used(content, reason):
    with pytest.raises(UserError, match=rf"^photo: cannot use this image \({reason}"):
        collect(content)


@pytest.mark.parametrize(
    ("side", "size"), [(None, (1000, 800)), (100, (500, 400)), (50, (250, 200))]
)
def test_a_photo_to_be_made_smaller_is_read_smaller_and_shows_the_same(side, size):
    across, down = np.meshgrid(np.linspace(0, 6, 1000), np.linspace(0, 5, 800))
    waves = np.stack([np.sin(across), np.cos(down), np.sin(across * down)], 2)
    content = io.BytesIO()
    Image.fromarray(np.uint8(127 + 120 * waves)).save(content, "JPEG")
    seen = []
    image = decode_image(content.getvalue(), seen.append, side)
    assert (image.size, seen) == (size, [(1000, 800)])
    if side is not None:
        whole = decode_image(content.getvalue())
        small, exact = (np.asarray(centre_resize(each, side)) for each in (image, whole))
        assert np.abs(small.astype(int) - exact).mean() < 1.5
