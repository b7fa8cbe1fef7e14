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


def test_archives_are_known_by_their_content(tmp_path, made, zipped) -> None:
    tar = made.shard(tmp_path / "a.tar", [("1.png", b"x")]).read_bytes()[: kinds.TAR_HEAD]
    packed = made.shard(tmp_path / "a.tgz", [("1.png", b"x")], "w:gz").read_bytes()
    zip_ = zipped(tmp_path / "a.zip", ["1.png"]).read_bytes()
    assert [kinds.is_tar(head) for head in (tar, packed, zip_, b"")] == [True, True, False, False]
    assert [kinds.is_zip(head) for head in (tar, packed, zip_, b"")] == [False, False, True, False]
    pages = (b"\n<!DOCTYPE html><html>", b"<HTML>", b"<?xml", tar)
    assert [kinds.is_page(head) for head in pages] == [True, True, False, False]
