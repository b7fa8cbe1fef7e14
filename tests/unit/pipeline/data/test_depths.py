"""Grey of other depths than eight bits, and hidden colours, as other programs write them."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pipeline.data.depths import BadImage
from pipeline.data.images import decode_image


def png(width: int, depth: int, colour: int, row: bytes, hidden: bytes = b"") -> bytes:
    """A PNG of one row; `hidden` is its tRNS."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0))]
    chunks += [(b"tRNS", hidden)] if hidden else []
    chunks += [(b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        content += struct.pack(">I", len(body)) + kind + body
        content += struct.pack(">I", zlib.crc32(kind + body))
    return content


def tiff(bits: int, photometric: int, row: bytes, width: int = 2) -> bytes:
    """A grey TIFF of one row."""
    values = {256: width, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 122, 277: 1, 278: 1}
    values[279] = len(row)
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items())
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(values)) + fields + b"\0" * 4 + row


def row_of(content: bytes) -> list:
    """The pixels of an image of one row."""
    return np.asarray(decode_image(content))[0].tolist()


def test_deep_grey_with_alpha_is_grey_on_white() -> None:
    image = decode_image(png(2, 16, 4, struct.pack(">4H", 0x6400, 0xFFFF, 0x6400, 0)))
    assert (image.mode, np.asarray(image)[0].tolist()) == ("L", [0x64, 255])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (tiff(12, 1, bytes([0xFF, 0xF0, 0x64])), [255, 6]),
        (tiff(16, 1, struct.pack("<2H", 0xFFFF, 0x6400)), [255, 0x64]),
        (tiff(16, 0, struct.pack("<2H", 0xFFFF, 0x6400)), [0, 0x9B]),
        (tiff(32, 1, struct.pack("<2I", 0xFFFF, 100)), [255, 0]),
        (tiff(32, 1, struct.pack("<2I", 0, 0)), [0, 0]),
    ],
    ids=["12 bits", "16 bits", "white is zero", "32 bits", "black"],
)
def test_a_tiff_is_read_as_its_tags_say(content: bytes, expected: list[int]) -> None:
    assert row_of(content) == expected


def test_small_values_in_many_bits_are_refused() -> None:
    with pytest.raises(BadImage, match=r"values up to 200 in 32 bits, .*; save it in 8 or 16"):
        decode_image(tiff(32, 1, struct.pack("<2I", 200, 0)))


@pytest.mark.parametrize(
    ("depth", "row", "hidden", "expected"),
    [
        (16, struct.pack(">2H", 0x1234, 0x1235), 0x1234, [255, 0x12]),
        (8, bytes([3, 4]), 3, [255, 4]),
        (4, bytes([0x34]), 3, [255, 4 * 17]),
        (2, bytes([0b01100000]), 1, [255, 2 * 85]),
        (1, bytes([0b10000000]), 1, [255, 0]),
        (1, bytes([0b01000000]), 0, [255, 255]),
    ],
    ids=["16", "8", "4", "2", "1: white", "1: black"],
)
def test_hidden_grey_is_white(depth: int, row: bytes, hidden: int, expected: list[int]) -> None:
    assert row_of(png(2, depth, 0, row, struct.pack(">H", hidden))) == expected


def test_hidden_colour_of_sixteen_bits_is_white() -> None:
    hidden = struct.pack(">3H", 0x1234, 0x2345, 0x3456)
    row = hidden + struct.pack(">3H", 0x1234, 0x2345, 0x6400)
    assert row_of(png(2, 16, 2, row, hidden)) == [[255] * 3, [0x12, 0x23, 0x64]]


def test_deep_grey_keeps_its_turn() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(np.full((1, 3), 0x6400, np.uint16)).save(buffer, "PNG", exif=exif)
    assert decode_image(buffer.getvalue()).size == (1, 3)
