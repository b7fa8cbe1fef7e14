"""Sources that were made to do harm, or that once did: what the fuzz found, and what it cannot."""

import csv
import gzip
import io
import json
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz_corpus import Files, array, encoded, pack, seeds, write

HUGE = 1 << 33  # bytes of files that take no room


class Case(NamedTuple):
    """make: writes into a folder, and returns the source where that is not the folder. says: what
    the error says, or "" where it is read."""

    make: Callable[[Path], Path | None]
    says: str


CASES: dict[str, Case] = {}


def case(name: str, says: str = "") -> Callable:
    def register(make: Callable[[Path], Path | None]) -> Callable:
        CASES[name] = Case(make, says)
        return make

    return register


def two(content: bytes = b"", name: str = "bad.png") -> Files:
    """Two classes of three images; one more of these bytes."""
    made = dict(seeds()["folder"].files)
    return made | ({f"cat/{name}": content} if content else {})


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG that says this size; its pixels are missing."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")


def tar(path: Path, *members: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    """A tar with these members."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for member in members:
            if isinstance(member, tuple):
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
            else:
                archive.addfile(member)
    return path


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """A link, or with another kind a device."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def of_no_room(path: Path, head: bytes = b"") -> Path:
    """A file of `HUGE` bytes, all zeros behind its head."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(HUGE)
    return path


def zipped(path: Path, files: Files, change: Callable[[bytearray], None] = lambda _: None) -> Path:
    """A zip of these files, with some bytes of it changed."""
    content = bytearray(pack("a.zip", files))
    change(content)
    path.write_bytes(content)
    return path


def crc_of_the_last(content: bytearray) -> None:
    """Damage the last member's checksum in the directory."""
    content[content.rindex(b"PK\x01\x02") + 16] ^= 255


# Archives: paths, links, ratio, nesting


for label, path in {
    "up": "../x.png",
    "up-inside": "cat/../../x.png",
    "absolute": "/tmp/x.png",
    "drive": "C:/x.png",
    "windows": "cat\\..\\..\\x.png",
}.items():

    @case(f"zip-path-{label}", r"a\.zip: refused to extract '.*x\.png'")
    def _(folder: Path, path: str = path) -> Path:
        return zipped(folder / "a.zip", two() | {path: b"x"})

    @case(f"tar-path-{label}", r"a\.tar: refused to extract" if label != "windows" else "")
    def _(folder: Path, path: str = path) -> Path:
        content = two()["cat/0.png"]
        return tar(folder / "a.tar", *two().items(), (path, content))


@case("zip-link-out", r"a\.zip: refused to extract 'cat/link\.png'")
def _(folder: Path) -> Path:
    path = zipped(folder / "a.zip", two())
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("cat/link.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return path


@case("tar-link-out", r"a\.tar: refused to extract 'cat/l\.png', a link that leads out of it")
def _(folder: Path) -> Path:
    return tar(folder / "a.tar", *two().items(), link("cat/l.png", "../../../etc/passwd"))


@case("tar-link-absolute", r"a\.tar: refused to extract 'cat/l\.png', a link that leads out of it")
def _(folder: Path) -> Path:
    return tar(folder / "a.tar", *two().items(), link("cat/l.png", "/etc/passwd"))


@case("tar-hard-link-out", r"refused to extract 'cat/l\.png', a link that leads out of it")
def _(folder: Path) -> Path:
    return tar(folder / "a.tar", *two().items(), link("cat/l.png", "../x", tarfile.LNKTYPE))


@case("tar-link-to-itself")
def _(folder: Path) -> Path:
    return tar(folder / "a.tar", *two().items(), link("cat/l.png", "l.png"))


@case("tar-device")
def _(folder: Path) -> Path:
    return tar(folder / "a.tar", *two().items(), link("cat/l.png", "", tarfile.CHRTYPE))


@case("shard-link-out", r"a\.tar: refused to extract 'l\.png', a link that leads out of it")
def _(folder: Path) -> Path:
    members = list(seeds()["shard"].files.items())
    return tar(folder / "a.tar", *members, link("l.png", "../x"), ("l.cls", b"0"))


@case("tar-sparse")  # of 1 TiB, says its header
def _(folder: Path) -> Path:
    info = tarfile.TarInfo("cat/s.png")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    path = tar(folder / "a.tar", info, *two().items())
    content = bytearray(path.read_bytes())
    content[386:482] = (b"%011o\0" % 0 + b"%011o\0" % 0).ljust(96, b"\0")
    content[482] = 0
    content[483:495] = b"\x80" + (1 << 40).to_bytes(11, "big")
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    path.write_bytes(content)
    return path


@case("tar-file-and-folder", r"a\.tar: cat/0\.png(/1\.png)? cannot be unpacked \(")
def _(folder: Path) -> Path:
    content = two()["cat/0.png"]
    return tar(folder / "a.tar", *two().items(), ("cat/0.png/1.png", content))


@case("zip-name-of-300", r"x+…x+\.png cannot be unpacked \(.*File name too long")
def _(folder: Path) -> Path:
    return zipped(folder / "a.zip", two() | {f"cat/{'x' * 300}.png": two()["cat/0.png"]})


@case("zip-nested-folders", r"2,000 folders in one another \(a/a/.*; at most 100 are entered")
def _(folder: Path) -> Path:
    return zipped(folder / "a.zip", two() | {"a/" * 2000 + "x.png": b"x"})


@case("folder-nested-folders", r"101 folders in one another \(a/a/.*; at most 100 are entered")
def _(folder: Path) -> None:
    write(two(), folder)
    here = os.open(folder, os.O_RDONLY)
    for _ in range(600):
        os.mkdir("a", dir_fd=here)
        inner = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


@case("zip-in-zips", r"holds 1 archives \(e\.zip\)|has no known format")
def _(folder: Path) -> Path:
    content = pack("e.zip", two())
    for name in "edcb":
        content = pack(f"{name}.zip", {f"{name}.zip": content})
    return _written(folder / "a.zip", content)


def claim_a_tebibyte(content: bytearray) -> None:
    """Let the last member of a zip unpack to 1 TiB, as its directory says."""
    at = content.rindex(b"PK\x01\x02")
    extra = struct.pack("<HHQ", 1, 8, 1 << 40)
    name = int.from_bytes(content[at + 28 : at + 30], "little")
    content[at + 24 : at + 28] = b"\xff" * 4
    content[at + 30 : at + 32] = len(extra).to_bytes(2, "little")
    content[at + 46 + name : at + 46 + name] = extra
    end = content.rindex(b"PK\x05\x06")
    size = int.from_bytes(content[end + 12 : end + 16], "little") + len(extra)
    content[end + 12 : end + 16] = size.to_bytes(4, "little")


@case("zip-bomb", r"a\.zip: .* bytes that unpack to 1,099,511,\d+,\d+, .* times as many")
def _(folder: Path) -> Path:
    return zipped(folder / "a.zip", two(), claim_a_tebibyte)


@case("npz-bomb", r"a\.npz: .* bytes that unpack to 1,099,511,\d+,\d+, .* times as many")
def _(folder: Path) -> Path:
    return zipped(folder / "a.npz", seeds()["npz"].files, claim_a_tebibyte)


@case("zip-directory-elsewhere", r"a\.zip: truncated or damaged archive \(")
def _(folder: Path) -> Path:
    def move(content: bytearray) -> None:
        at = content.rindex(b"PK\x05\x06") + 12
        content[at : at + 8] = b"\xff\xff\xff\x7f" * 2

    return zipped(folder / "a.zip", two(), move)


@case("zip-checksum-of-an-image", r"a\.zip: (dog/5\.png|.*cannot be)")
def _(folder: Path) -> Path:
    return zipped(folder / "a.zip", two(), crc_of_the_last)


@case("zip-checksum-of-labels", r"metadata\.csv: cannot be read \(Bad CRC-32")
def _(folder: Path) -> Path:
    return zipped(folder / "a.zip", seeds()["zip-csv"].files, crc_of_the_last)


@case("zip-checksum-of-a-file-without-suffix", r"z: cannot be read \(Bad CRC-32")
def _(folder: Path) -> Path:
    return zipped(folder / "a.zip", two() | {"z": b"word"}, crc_of_the_last)


@case("zip-of-many")
def _(folder: Path) -> Path:
    return zipped(folder / "a.zip", two() | {f"{n}.txt": b"" for n in range(5_000)})


@case("tar-of-no-room", r"truncated|no known format|empty")
def _(folder: Path) -> Path:
    return of_no_room(folder / "a.tar")


# Images: pixels, text, content that is none


for label, content in {
    "pixels": png(60_000, 60_000),
    "pixels-none": png(0, 0),
    "not-a-number": b"P5 nan nan 255\n",
    "negative": b"P5 -1 -1 255\n",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n(x) run\nshowpage\n",
    "empty-gif": b"GIF89a\xff\xff\xff\xff\0\0\0;",
    "markup": b"<svg xmlns='http://www.w3.org/2000/svg'/>" * 9,
}.items():

    @case(f"image-{label}", r"cat/bad\.png: (cannot use this image|images are 60000x60000)")
    def _(folder: Path, content: bytes = content) -> None:
        write(two(content), folder)


@case("image-of-no-room", r"cat/bad\.png: 8,589,934,592 bytes; at most 1,073,741,824 are read")
def _(folder: Path) -> None:
    write(two(), folder)
    of_no_room(folder / "cat/bad.png", b"\x89PNG")


def _texts(bomb: bytes) -> bytes:
    whole = encoded(np.zeros((28, 28), np.uint8))
    return whole[:33] + bomb * 8 + whole[33:]


@case("image-text-bomb")  # a gigabyte of text in all
def _(folder: Path) -> None:
    packed = zlib.compress(bytes(128 << 20), 9)
    write(two(_texts(chunk(b"zTXt", b"a\0\0" + packed))), folder)


@case("image-profile-bomb")
def _(folder: Path) -> None:
    packed = zlib.compress(bytes(128 << 20), 9)
    write(two(_texts(chunk(b"iCCP", b"a\0\0" + packed))), folder)


@case("image-icon-larger-than-it-says", r"cat/bad\.png: cannot use this image|mixed image sizes")
def _(folder: Path) -> None:
    inner = encoded(np.zeros((300, 300), np.uint8))
    head = struct.pack("<HHHBBBBHHII", 0, 1, 1, 28, 28, 0, 0, 1, 8, len(inner), 22)
    write(two(head + inner), folder)


# Arrays: shapes that a header promises


def npz(path: Path, **arrays: bytes) -> Path:
    files = {f"{name}.npy": content for name, content in arrays.items()}
    return _written(path, pack("a.npz", files))


def promised(shape: str, kind: str = "|u1") -> bytes:
    """An array of this shape, by its header, with nothing in it."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode()


X = np.zeros((6, 28, 28), np.uint8)
Y = np.arange(6) // 3
for label, shape in {
    "many": "(1099511627776, 28, 28)",
    "one-huge": "(1, 1099511627776, 1099511627776)",
    "negative": "(-6, 28, 28)",
    "nan": "(nan, 28, 28)",
    "unbalanced": "((6, 28, 28)",
    "beyond": f"({'9' * 40}, 28, 28)",
}.items():

    @case(f"npz-images-{label}", r"a\.npz: .*(truncated|images)")
    def _(folder: Path, shape: str = shape) -> Path:
        return npz(folder / "a.npz", images=promised(shape), labels=array(Y))

    @case(f"npz-labels-{label}", r"a\.npz: .*(truncated|labels)")
    def _(folder: Path, shape: str = shape) -> Path:
        one = shape.replace(", 28, 28", ",")
        return npz(folder / "a.npz", images=array(X), labels=promised(one, "<i8"))

    @case(f"block-images-{label}", r"a\.tar: .*(damaged block|images)")
    def _(folder: Path, shape: str = shape) -> Path:
        files = {"0.x.npy": promised(shape), "0.y.npy": array(Y)}
        return _written(folder / "a.tar", pack("a.tar", files))


@case("npz-names-beyond-unicode", r"a\.npz: classes: no text \(")
def _(folder: Path) -> Path:
    names = array(np.asarray(["cat", "dog"])).replace(b"c\0\0\0", b"c\xff\xff\xff")
    return npz(folder / "a.npz", images=array(X), labels=array(Y), classes=names)


@case("npz-pickle", r"a\.npz: .*(numbers|names)")
def _(folder: Path) -> Path:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray([{}, {}], object), allow_pickle=True)
    return npz(folder / "a.npz", images=array(X), labels=array(Y), classes=buffer.getvalue())


for label, shape in {"many": (0xFFFFFFFF, 28, 28), "one-huge": (1, 0xFFFFFFFF, 0xFFFFFFFF)}.items():

    @case(f"idx-{label}", r"train-images-idx3-ubyte: \d+ bytes where its header promises")
    def _(folder: Path, shape: tuple[int, ...] = shape) -> None:
        files = dict(seeds()["idx"].files)
        files["train-images-idx3-ubyte"] = struct.pack(">HBB3I", 0, 8, 3, *shape) + bytes(5000)
        write(files, folder)


@case("idx-labels-bomb", r"train-labels-idx1-ubyte: more bytes where its header promises 14")
def _(folder: Path) -> None:
    files = dict(seeds()["idx"].files)
    labels = files["train-labels-idx1-ubyte"]
    files["train-labels-idx1-ubyte"] = gzip.compress(labels + bytes(256 << 20), 1)
    write(files, folder)


@case("idx-of-no-room", r"train-images-idx3-ubyte: not an IDX file")
def _(folder: Path) -> None:
    write(seeds()["idx"].files, folder)
    of_no_room(folder / "train-images-idx3-ubyte")


# Tables


@case("parquet-of-many", r"a\.parquet: 40,000,000 rows; at most 20,000,000")
def _(folder: Path) -> Path:
    rows = pa.DictionaryArray.from_arrays(np.zeros(1 << 20, np.int8), pa.array([b"x"]))
    table = pa.table({"image": rows, "label": pa.DictionaryArray.from_arrays(rows.indices, [0])})
    with pq.ParquetWriter(folder / "a.parquet", table.schema) as writer:
        for start in range(0, 40_000_000, 1 << 20):
            writer.write_table(table[: min(1 << 20, 40_000_000 - start)])
    return folder / "a.parquet"


@case("parquet-page-header", r"a\.parquet: truncated or damaged Parquet \(")
def _(folder: Path) -> Path:
    content = bytearray(seeds()["parquet"].files["a.parquet"])
    content[4:40] = b"\xff" * 36
    return _written(folder / "a.parquet", bytes(content))


@case("parquet-of-no-room", r"a\.parquet: truncated or damaged Parquet")
def _(folder: Path) -> Path:
    return of_no_room(folder / "a.parquet", b"PAR1")


# Labels and names


for label, content in {
    "digits": b"9" * 5000,
    "negative": b"-" * 50,
    "name-of-megabytes": b"x" * (3 << 20),
    "huge": b"0" * (20 << 20),
    "control": b"c\0at",
}.items():

    @case(f"shard-label-{label}", r"a\.tar: .*(label|bytes|control|one image|beside)")
    def _(folder: Path, content: bytes = content) -> Path:
        files = {**seeds()["shard-names"].files, "0000.cls": content}
        return _written(folder / "a.tar", pack("a.tar", files))


for label, text in {
    "nested": "[" * 100_000,
    "nan": '{"label": NaN}',
    "infinite": '{"label": 1e999}',
    "digits": '{"label": ' + "9" * 5000 + "}",
    "object": '{"label": {"a": 1}}',
    "boolean": '{"label": true}',
}.items():

    @case(f"shard-json-{label}", r"a\.tar: sample 0000: json (cannot be read|must give)")
    def _(folder: Path, text: str = text) -> Path:
        files = {**seeds()["shard-json"].files, "0000.json": text.encode()}
        return _written(folder / "a.tar", pack("a.tar", files))

    @case(f"jsonl-{label}", r"metadata\.jsonl: (cannot be read|label|line 7)")
    def _(folder: Path, text: str = text) -> None:
        files = seeds()["jsonl"].files
        row = text.replace('{"', '{"file_name": "0.png", "')
        write({**files, "metadata.jsonl": files["metadata.jsonl"] + f"\n{row}".encode()}, folder)


@case("csv-huge-field", r"metadata\.csv: cannot be read \(field larger than field limit")
def _(folder: Path) -> None:
    assert csv.field_size_limit() < 1 << 20
    files = seeds()["csv"].files
    write({**files, "metadata.csv": files["metadata.csv"] + b"\nx.png," + b"x" * (1 << 20)}, folder)


@case("csv-of-no-room", r"metadata\.csv: 8,589,934,592 bytes; at most 268,435,456")
def _(folder: Path) -> None:
    write(seeds()["csv"].files, folder)
    of_no_room(folder / "metadata.csv")


@case("stylegan-nan", r"dataset\.json: label 'nan'; it must be a name or an integer")
def _(folder: Path) -> None:
    files = seeds()["stylegan"].files
    write(
        {**files, "dataset.json": json.dumps({"labels": [["0.png", float("nan")]]}).encode()},
        folder,
    )


@case("class-name-of-300-bytes", r"the class '.*' has a name of 300 bytes; .* 255\. Shorten it")
def _(folder: Path) -> None:
    files = seeds()["csv"].files
    write({**files, "metadata.csv": files["metadata.csv"].replace(b"dog", b"d" * 300)}, folder)


@case("class-name-with-a-newline", r"the class 'c\\nat' has control characters: rename it")
def _(folder: Path) -> None:
    write({k.replace("cat", "c\nat"): v for k, v in two().items()}, folder)


@case("pickle-that-runs-code", r"data_batch_1: damaged, or not .*refused os\.system")
def _(folder: Path) -> None:
    files = dict(seeds()["cifar-python"].files)
    files["data_batch_1"] = b"cos\nsystem\n(S'touch /tmp/sgan-was-here'\ntR."
    write(files, folder)


@case("pipe-and-socket")
def _(folder: Path) -> None:
    write(two(), folder)
    os.mkfifo(folder / "cat/pipe.png")


@case("links-in-a-circle")
def _(folder: Path) -> None:
    write(two(), folder)
    (folder / "cat/up").symlink_to("..")
    (folder / "cat/self.png").symlink_to("self.png")
    (folder / "dog/device.png").symlink_to("/dev/zero")


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
