"""What the fuzz of the readers starts from: a small source of each form, and ways to damage it."""

import bz2
import functools
import gzip
import io
import json
import lzma
import pickle
import random
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, features

from pipeline.data import shard_writer
from pipeline.data.dataset import Dataset
from pipeline.params.settings import DataConfig

Files = dict[str, bytes]  # by path
FORMATS = "PNG JPEG GIF WEBP BMP TIFF PPM JPEG2000 TGA PCX SGI ICO DDS AVIF".split()
SIDE = 28  # pixels, of every image
_PACKERS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


class Seed(NamedTuple):
    """files: by path, before they are packed. packed: the archive that they become, or "". source:
    what data.source names, "" for the folder."""

    files: Files
    packed: str = ""
    source: str = ""


def encoded(pixels: np.ndarray, form: str = "PNG") -> bytes:
    """uint8 [H, W] or [H, W, 3] as the bytes of an image file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def _images() -> list[bytes]:
    """Six grey images, alike in each class of two."""
    noise = np.random.default_rng(0).integers(0, 256, (6, SIDE, SIDE), np.uint8)
    return [encoded(one // 64 * 64) for one in noise]


def _folder() -> Files:
    return {f"{'cat' if n < 3 else 'dog'}/{n}.png": one for n, one in enumerate(_images())}


def _formats() -> Files:
    pixels = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8) // 64 * 64
    forms = [form for form in FORMATS if form != "AVIF" or features.check("avif")]
    found = {f"cat/{form}.{form[:3].lower()}": encoded(pixels, form) for form in forms}
    return found | {f"dog/{n}.png": encoded(pixels) for n in range(3)}


def _beside(name: str) -> Files:
    rows = [(f"{n}.png", "cat" if n < 3 else "dog") for n in range(6)]
    text = {
        "metadata.csv": "file_name,label\n" + "\n".join(f"{file},{label}" for file, label in rows),
        "metadata.jsonl": "\n".join(json.dumps({"file_name": f, "label": c}) for f, c in rows),
        "dataset.json": json.dumps({"labels": [[f, int(c == "dog")] for f, c in rows]}),
    }[name]
    return {f"{n}.png": one for n, one in enumerate(_images())} | {name: text.encode()}


def _samples(label: str = "cls") -> Files:
    found: Files = {}
    for n, one in enumerate(_images()):
        number, name = str(n // 3), ("cat", "dog")[n // 3]
        text = {"cls": number, "txt.cls": name, "json": json.dumps({"label": name, "n": n})}[label]
        found |= {f"{n:04}.png": one, f"{n:04}.{label.rpartition('.')[2]}": text.encode()}
    return found


def _blocks() -> Files:
    x = np.random.default_rng(2).integers(0, 256, (6, SIDE, SIDE, 1), np.uint8) // 64 * 64
    return {"000.x.npy": array(x), "000.y.npy": array(np.arange(6) // 3)}


def array(values: np.ndarray) -> bytes:
    """An array as .npy."""
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def _arrays(**more: np.ndarray) -> Files:
    x = np.random.default_rng(3).integers(0, 256, (6, SIDE, SIDE), np.uint8) // 64 * 64
    return {
        f"{k}.npy": array(v) for k, v in {"images": x, "labels": np.arange(6) // 3, **more}.items()
    }


def idx(values: np.ndarray) -> bytes:
    """An array of bytes as IDX."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def _idx(pack: Callable[[bytes], bytes] = bytes, ending: str = "") -> Files:
    x = np.random.default_rng(4).integers(0, 256, (6, SIDE, SIDE), np.uint8) // 64 * 64
    y = (np.arange(6) // 3).astype(np.uint8)
    return {
        f"train-images-idx3-ubyte{ending}": pack(idx(x)),
        f"train-labels-idx1-ubyte{ending}": pack(idx(y)),
    }


def table(labels: list, metadata: dict | None = None, cells: list | None = None) -> bytes:
    """A Parquet file of images and these labels."""
    rows = cells or [{"bytes": one, "path": None} for one in _images()]
    image = pa.array(rows, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    buffer = io.BytesIO()
    made = pa.table({"image": image, "label": labels}).replace_schema_metadata(metadata)
    pq.write_table(made, buffer)
    return buffer.getvalue()


def _named_table() -> bytes:
    feature = {"_type": "ClassLabel", "names": ["cat", "dog"]}
    about = {"info": {"features": {"image": {"_type": "Image"}, "label": feature}}}
    return table([0, 0, 0, 1, 1, 1], {"huggingface": json.dumps(about)})


def _cifar(form: str) -> Files:
    rows = np.random.default_rng(5).integers(0, 256, (4, 3072), np.uint8) // 64 * 64
    found: Files = {}
    names = [f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"]
    for name in names:
        if form == "python":
            found[name] = pickle.dumps({"data": rows, "labels": [0, 1, 0, 1]}, protocol=2)
        elif form == "binary":
            labels = np.asarray([[0], [1], [0], [1]], np.uint8)
            found[f"{name}.bin"] = np.concatenate([labels, rows], axis=1).tobytes()
        else:
            found[f"{name}.png"] = encoded(rows.reshape(4, 1024, 3))
    if form == "sheets":
        found |= {"train_lables.json": b"[0, 1, 0, 1]", "test_lables.json": b"[0, 1, 0, 1]"}
        found["train_lables.json"] = json.dumps([0, 1, 0, 1] * 5).encode()
    return found


def _svhn() -> Files:
    import scipy.io

    found: Files = {}
    for split in ("train", "test"):
        buffer = io.BytesIO()
        x = np.zeros((32, 32, 3, 4), np.uint8)
        scipy.io.savemat(buffer, {"X": x, "y": np.asarray([[1], [10]] * 2)}, do_compression=True)
        found[f"{split}_32x32.mat"] = buffer.getvalue()
    return found


def _prepared() -> Files:
    """What `prepare` itself writes: shards of blocks and their manifest."""
    x = np.random.default_rng(7).integers(0, 256, (12, SIDE, SIDE, 1), np.uint8) // 64 * 64
    y = np.arange(12) % 2
    made = Dataset(x[:8], y[:8], x[8:], y[8:], ("cat", "dog"))
    with tempfile.TemporaryDirectory() as folder:
        shard_writer.write(made, Path(folder), DataConfig(name="custom", source="x"))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@functools.cache
def seeds() -> dict[str, Seed]:
    """A source of each form that the readers know, by name. Nobody may change it."""
    folder = _folder()
    shard = pack("a.tar", _samples())
    return {
        "folder": Seed(folder),
        "formats": Seed(_formats()),
        "splits": Seed({f"{s}/{k}": v for s in ("train", "test") for k, v in folder.items()}),
        "csv": Seed(_beside("metadata.csv")),
        "jsonl": Seed(_beside("metadata.jsonl")),
        "stylegan": Seed(_beside("dataset.json")),
        "zip": Seed(folder, "a.zip", "a.zip"),
        "zip-csv": Seed(_beside("metadata.csv"), "a.zip", "a.zip"),
        "zip-in-zip": Seed({"in/b.zip": pack("b.zip", folder)}, "a.zip", "a.zip"),
        "tar": Seed({f"pets/{k}": v for k, v in folder.items()}, "a.tar", "a.tar"),
        "tar.gz": Seed(folder, "a.tar.gz", "a.tar.gz"),
        "tar.bz2": Seed(folder, "a.tar.bz2", "a.tar.bz2"),
        "tar.xz": Seed(folder, "a.tar.xz", "a.tar.xz"),
        "shard": Seed(_samples(), "a.tar", "a.tar"),
        "shard-names": Seed(_samples("txt.cls"), "a.tar"),
        "shard-json": Seed(_samples("json"), "a.tar", "a.tar"),
        "shard-blocks": Seed(_blocks(), "a.tar", "a.tar"),
        "shard-gz": Seed(_samples(), "a.tar.gz", "a.tar.gz"),
        "shards": Seed({"train-0.tar": shard, "test-0.tar": shard}),
        "npz": Seed(_arrays(classes=np.asarray(["cat", "dog"])), "a.npz", "a.npz"),
        "npz-split": Seed(
            {f"{k}_{s}.npy": v for s in ("train", "test") for k, v in _xy().items()}, "a.npz"
        ),
        "idx": Seed(_idx()),
        "idx-gz": Seed(_idx(gzip.compress, ".gz")),
        "parquet": Seed({"a.parquet": table([0, 0, 0, 1, 1, 1])}, "", "a.parquet"),
        "parquet-names": Seed({"a.parquet": table(["cat"] * 3 + ["dog"] * 3)}),
        "parquet-features": Seed({"train.parquet": _named_table(), "test.parquet": _named_table()}),
        "cifar-python": Seed(_cifar("python")),
        "cifar-binary": Seed(_cifar("binary")),
        "cifar-sheets": Seed(_cifar("sheets")),
        "svhn": Seed(_svhn()),
        "prepared": Seed(_prepared()),
    }


def _xy() -> Files:
    x = np.random.default_rng(6).integers(0, 256, (6, SIDE, SIDE), np.uint8) // 64 * 64
    return {"x": array(x), "y": array(np.arange(6) // 3)}


def pack(name: str, files: Files) -> bytes:
    """The files as one archive of the kind that the name says."""
    buffer = io.BytesIO()
    if name.endswith((".zip", ".npz")):
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in files.items():
                archive.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return _PACKERS[name.removeprefix("a.tar")](buffer.getvalue())


def write(files: Files, root: Path) -> None:
    """The files below `root`."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


# Damage

_NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, 1 << 63)
_WORDS = (
    b"nan", b"-1", b"1e999", b"NaN", b"null", b"true", b"{}", b"[]", b'""', b"\0", b"\xff\xfe",
    b"../", b"9" * 5000, b"-" * 40, b"[" * 3000, b"\r\n", b",", b"\xed\xa0\x80", b"'", b"%s",
    b"{0}", b"A" * 400,
)  # fmt: skip
_NAMES = (
    "../x.png", "/etc/x.png", "C:/x.png", "a\0b.png", "x" * 300 + ".png", "a/" * 600 + "x.png", "",
    ".", "..", "cat", "cat/0.png/1.png", "cat/a\nb.png", "cat/\u202e.png", "cat/\udce9.png",
    "cat//x.png",
    "./cat/./x.png", "CAT/0.PNG", "con/x.png", "cat /x.png", "%2e%2e/x.png",
    "cat\\..\\..\\x.png", "~/x.png",
)  # fmt: skip


def damaged(seed: Seed, rng: random.Random) -> Files:
    """The files of a seed with one to three things wrong, in a member or in the archive."""
    files = dict(seed.files)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if not seed.packed or rng.random() < 0.5:
            name = rng.choice(sorted(files))
            files[name] = bytes_damaged(files[name], rng)
        elif rng.random() < 0.3:
            name = rng.choice(sorted(files))
            content = files.pop(name) if rng.random() < 0.5 else files[name]
            files[rng.choice(_NAMES)] = content
    if not seed.packed:
        return files
    try:
        whole = pack(seed.packed, files)
    except (ValueError, OSError):
        whole = pack(seed.packed, seed.files)
    for _ in range(rng.choice((0, 1, 1, 2))):
        whole = bytes_damaged(whole, rng)
    return {seed.packed: whole}


def bytes_damaged(content: bytes, rng: random.Random) -> bytes:
    """Content with one thing wrong with it."""
    if not content:
        return rng.randbytes(rng.randrange(64))
    at = rng.randrange(len(content))
    if rng.random() < 0.4:  # headers are short, and decide most
        at = rng.randrange(min(len(content), 128))
    elif rng.random() < 0.3:
        at = max(0, len(content) - 1 - rng.randrange(min(len(content), 256)))
    size = rng.choice((1, 1, 2, 4, 8, 16, 64))
    kind = rng.randrange(10)
    if kind == 0:
        return content[:at]
    if kind == 1:
        return rng.choice((b"", rng.randbytes(rng.randrange(600)), content * 3, b"\0" * 2048))
    if kind == 2:
        return content[:at] + content[at + size :]
    if kind == 3:
        return content[:at] + rng.randbytes(size) + content[at:]
    if kind in (4, 5):
        width = rng.choice((1, 2, 4, 8))
        number = rng.choice(_NUMBERS) & ((1 << 8 * width) - 1)
        put = number.to_bytes(width, rng.choice(("big", "little")))
        return content[:at] + put + content[at + width :]
    if kind == 6:
        return content[:at] + rng.choice(_WORDS) + content[at + rng.choice((0, size)) :]
    if kind == 7:
        other = rng.randrange(len(content))
        return content[:at] + content[other : other + 4 * size] + content[at + 4 * size :]
    flipped = bytearray(content)
    for _ in range(rng.choice((1, 1, 4, 16))):
        flipped[(at + rng.randrange(64)) % len(content)] ^= 1 << rng.randrange(8)
    return bytes(flipped)
