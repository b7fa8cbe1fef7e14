"""What a file is."""

import io

import pytest
from PIL import Image

from pipeline.data.survey import kinds


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_images_are_known_by_their_first_bytes(form: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20)).save(buffer, form)
    assert kinds.looks_like_image(buffer.getvalue()[: kinds.HEAD])


def test_other_files_are_not() -> None:
    assert not any(map(kinds.looks_like_image, (b"", b"word", b"PK\3\4", b"RIFF....WAVE")))


def test_names() -> None:
    assert kinds.is_image_name("a/b.JPG") and kinds.is_image_name("b.jpe")
    assert kinds.suffix("a/.hidden") == "" and kinds.suffix("a.b/c") == ""
    assert kinds.may_be_image("a/0001") and kinds.may_be_image("x.0")
    assert not kinds.may_be_image("a.txt") and not kinds.may_be_image("a.png")
    assert kinds.is_picture_name("a.psd") and kinds.is_archive_name("A.TAR.GZ")
