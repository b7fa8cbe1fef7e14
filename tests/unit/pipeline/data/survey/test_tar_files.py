"""A tar as a stream: unpacked where it is packed, whole, in sections."""

import bz2
import gzip
import io
import lzma
import random
import tarfile

import pytest

from pipeline.data.survey import bounds, tar_files
from pipeline.errors import UserError


def test_compressed_shards_are_unpacked_whatever_their_name(tmp_path, made) -> None:
    path = made.shard(tmp_path / "a.tar", [("1.png", b"x")])
    packed = io.BytesIO(gzip.compress(path.read_bytes()))
    assert tar_files.unpacked(packed, "a.tar", "a").read() == path.read_bytes()
    with pytest.raises(UserError, match="a: truncated or damaged archive"):
        tar_files.unpacked(io.BytesIO(gzip.compress(b"x" * 1000)[:20]), "a", "a")
    with pytest.raises(UserError, match=r"a\.tar\.zst: packed by Zstandard"):
        tar_files.unpacked(io.BytesIO(b"\x28\xb5\x2f\xfdx"), "a.tar.zst", "a.tar.zst")


def test_an_xz_of_several_streams_with_padding_is_read_and_memory_is_bounded() -> None:
    content = random.Random(0).randbytes(3_000_000)
    first, second = lzma.compress(content[:10]), lzma.compress(content[10:])
    packed = first + bytes(8) + second + bytes(4)
    assert tar_files.unpacked(io.BytesIO(packed), "a.tar", "a").read() == content
    with pytest.raises(UserError, match=r"a: truncated .* in the middle of a stream"):
        tar_files.unpacked(io.BytesIO(packed[:2_000_000]), "a.tar", "a")
    with pytest.raises(UserError, match="a: truncated or damaged"):
        tar_files.unpacked(io.BytesIO(first + b"else"), "a.tar", "a")
    wide = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 28}]
    hostile = io.BytesIO(lzma.compress(content[:100], filters=wide))
    with pytest.raises(UserError, match=r"a: .*\(Memory usage limit exceeded\)"):
        tar_files.unpacked(hostile, "a.tar", "a")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_stream_is_read_whatever_it_says_of_its_mode(pack) -> None:
    stream = io.BytesIO(pack(b"tar"))
    stream.mode = "w+b"  # as of a file that was written and is read again
    assert tar_files.unpacked(stream, "a.tar", "a").read() == b"tar"


def test_a_shard_that_breaks_off_is_named() -> None:
    with pytest.raises(UserError, match="breaks off at byte 3,"):
        tar_files.require_whole(io.BytesIO(b"abc"), "a.tar")


def test_what_unpacks_to_far_too_much_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(bounds, "RATIO_FROM", 1 << 20)
    bomb = io.BytesIO(gzip.compress(bytes(5 << 20)))
    with pytest.raises(
        UserError, match=r"a: .* bytes that unpack to .* \(at most 200 are unpacked"
    ):
        tar_files.unpacked(bomb, "a.tar", "a")


def test_a_section_is_a_stream_of_its_own() -> None:
    section = io.BufferedReader(tar_files.section(io.BytesIO(b"0123456789"), tar_files.Place(2, 5)))
    assert section.read() == b"23456"
    section.seek(-2, io.SEEK_END)
    assert section.read(9) == b"56"
    with pytest.raises(ValueError, match="negative"):
        section.seek(-9, io.SEEK_END)


def test_members_are_not_kept(tmp_path, made) -> None:
    path = made.shard(tmp_path / "a.tar", [(f"{n}.png", b"x") for n in range(3)])
    with path.open("rb") as stream:
        found = tar_files.members_of(stream)
        assert [(member.name, member.size) for member in found] == [
            ("0.png", 1),
            ("1.png", 1),
            ("2.png", 1),
        ]
    with pytest.raises(tarfile.TarError):
        list(tar_files.members_of(io.BytesIO(b"x" * 1024)))


def test_what_lies_behind_the_last_member_is_told(tmp_path, made, monkeypatch) -> None:
    path = made.shard(tmp_path / "a.tar", [(f"{n}.png", b"x") for n in range(3)])
    content = path.read_bytes()
    damaged = content[:1030] + b"\xff" + content[1031:]
    with pytest.raises(tarfile.ReadError, match=r"more at byte 1024, .*a damaged header, or"):
        list(tar_files.members_of(io.BytesIO(damaged)))
    with pytest.raises(tarfile.ReadError, match=rf"more at byte {len(content)}, .*`tar -A` joins"):
        list(tar_files.members_of(io.BytesIO(content * 2)))
    assert len(list(tar_files.members_of(io.BytesIO(content + bytes(3 << 20))))) == 3
    monkeypatch.setattr(tar_files, "MOST_PADDING", 1 << 20)
    with pytest.raises(tarfile.ReadError, match="zeros and no end from byte 3072 on"):
        list(tar_files.members_of(io.BytesIO(content + bytes(3 << 20))))
