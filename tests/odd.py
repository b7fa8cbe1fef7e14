"""More data sets as people have them, of the kinds of tests/people.py: none was known to the
readers before it was written."""

import gzip
import io
import json
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.people import Case, Writer, encoded, write_tar, write_zip
from tests.people import case as register

CASES: dict[str, Case] = {}
N = 6  # images of each class


def case(name: str, what: str, *settings: str):
    return register(name, what, *settings, cases=CASES)


def classes(w: Writer, *patterns: str, count: int = N) -> None:
    w.images(*patterns, count=count)


def pets(w: Writer, prefix: str = "") -> dict[str, bytes]:
    return {k: v for c in ("cat", "dog") for k, v in w.members(f"{prefix}{c}/{{}}.png", N).items()}


def npz(w: Writer, name: str = "a.npz", **arrays: np.ndarray) -> Path:
    np.savez(w.root / name, **arrays)
    return w.root / name


def table(w: Writer, name: str, columns: dict, metadata: dict | None = None, **options) -> Path:
    path = w.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    made = pa.table(columns).replace_schema_metadata(metadata)
    pq.write_table(made, path, **options)
    return path


def raw(w: Writer, count: int = 2 * N) -> list[bytes]:
    return [w.image() for _ in range(count)]


# Splits


@case("split-capitals", "Train/ and Test/")
def _(w):
    classes(w, "Train/cat", "Train/dog", "Test/cat", "Test/dog")


@case("split-training-validation", "training/ and validation/")
def _(w):
    classes(w, "training/cat", "training/dog", "validation/cat", "validation/dog")


@case("split-inside-classes", "cat/train, cat/test, dog/train, dog/test: the class first")
def _(w):
    classes(w, "cat/train", "cat/test", "dog/train", "dog/test")


@case("split-test-alone", "test/ alone with its classes")
def _(w):
    classes(w, "test/cat", "test/dog")


@case("split-folds", "fold1/ and fold2/ with the same classes")
def _(w):
    classes(w, "fold1/cat", "fold1/dog", "fold2/cat", "fold2/dog")


@case("split-test-has-more", "test/ has a class that train/ lacks")
def _(w):
    classes(w, "train/cat", "train/dog", "test/cat", "test/eel")


@case("split-test-has-less", "test/ lacks a class")
def _(w):
    classes(w, "train/cat", "train/dog", "test/cat")


@case("split-qualified", "train_clean/ and test_clean/")
def _(w):
    classes(w, "train_clean/cat", "train_clean/dog", "test_clean/cat", "test_clean/dog")


@case("split-two-kinds", "train_clean, test_clean beside train_noisy, test_noisy")
def _(w):
    names = [f"{s}_{k}/{c}" for k in ("clean", "noisy") for s in ("train", "test") for c in "ab"]
    classes(w, *names)


@case("split-npz-files", "train.npz and test.npz")
def _(w):
    for name in ("train.npz", "test.npz"):
        npz(w, name, images=w.pixels(12, 32, 32), labels=np.arange(12) % 2)


@case("split-archives", "train.zip and test.zip, each with class folders")
def _(w):
    w.zip("train.zip", pets(w))
    w.zip("test.zip", pets(w))


@case("split-plain-tars", "train.tar and val.tar of class folders, no shards")
def _(w):
    w.tar("train.tar", pets(w))
    w.tar("val.tar", pets(w))


@case("split-flat-test-with-one-folder", "test/unknown/ as some loaders want it")
def _(w):
    classes(w, "train/cat", "train/dog", "test/unknown")


# Folders


@case("class-wraps-images", "cat/images/*.png: a folder of that name in each class")
def _(w):
    classes(w, "cat/images", "dog/images")


@case("class-with-deeper-images", "cat/*.png and cat/more/*.png")
def _(w):
    classes(w, "cat", "cat/more", "dog")


@case("class-empty", "eel/ has nothing in it")
def _(w):
    classes(w, "cat", "dog")
    (w.root / "eel").mkdir()


@case("class-only-text", "eel/ has a text file only")
def _(w):
    classes(w, "cat", "dog")
    w.files({"eel/notes.txt": b"none yet"})


@case("class-only-one", "one class folder")
def _(w):
    classes(w, "cat")


@case("flat-no-labels", "images and nothing else")
def _(w):
    classes(w, "{}.png")


@case("flat-named-by-class", "cat_0.png, dog_0.png: the class in the file's name")
def _(w):
    classes(w, "cat_{}.png", "dog_{}.png")


@case("folder-checkpoints", "cat/.ipynb_checkpoints holds copies")
def _(w):
    classes(w, "cat", "dog", "cat/.ipynb_checkpoints")


@case("folder-masks", "images/ and masks/ with the same names, flat")
def _(w):
    classes(w, "images", "masks")


@case("folder-thumbnails", "cat/thumbs/ with small copies")
def _(w):
    classes(w, "cat", "dog")
    w.files({f"cat/thumbs/{n}.png": encoded(Image.new("L", (8, 8))) for n in range(N)})


# Names


@case("names-numbers", "folders 0 to 11")
def _(w):
    classes(w, *map(str, range(12)))


@case("names-zeros", "folders 1 and 01")
def _(w):
    classes(w, "1", "01")


@case("names-case", "Cat and cat")
def _(w):
    classes(w, "Cat", "cat")


@case("names-composed", "café twice, composed and not")
def _(w):
    classes(w, *(unicodedata.normalize(form, "café") for form in ("NFC", "NFD")), "dog")


@case("names-spaces", "'cat ' with a blank at its end")
def _(w):
    classes(w, "cat ", "cat")


@case("names-scripts", "猫, قط, 🐈")
def _(w):
    classes(w, "猫", "قط", "🐈")


@case("names-long", "a name of 250 letters")
def _(w):
    classes(w, "x" * 250, "dog")


# Archives


@case("zip-of-a-mac", "__MACOSX beside one folder")
def _(w):
    rubbish = {f"__MACOSX/pets/cat/._{n}.png": b"x" for n in range(3)}
    return w.zip("a.zip", pets(w, "pets/") | rubbish | {"pets/.DS_Store": b"x"})


@case("zip-is-a-tar", "a tar named .zip")
def _(w):
    return write_tar(w.root / "a.zip", pets(w))


@case("tar-is-a-zip", "a zip named .tar.gz")
def _(w):
    return write_zip(w.root / "a.tar.gz", pets(w))


@case("zip-is-a-page", "a page of HTML named .zip: a log-in instead of a download")
def _(w):
    w.files({"a.zip": b"<!doctype html><title>Log in</title>"})
    return w.root / "a.zip"


@case("zip-empty", "a zip without members")
def _(w):
    return w.zip("a.zip", {})


@case("zip-of-nothing", "a zip of 0 bytes")
def _(w):
    w.files({"a.zip": b""})
    return w.root / "a.zip"


@case("zip-of-npz", "a zip with one .npz")
def _(w):
    buffer = io.BytesIO()
    np.savez(buffer, images=w.pixels(12, 32, 32), labels=np.arange(12) % 2)
    return w.zip("a.zip", {"set/a.npz": buffer.getvalue()})


@case("zip-of-shards", "a zip with two shards")
def _(w):
    for n in range(2):
        w.tar(f"train-{n}.tar", w.samples(N))
    members = {f"s/train-{n}.tar": (w.root / f"train-{n}.tar").read_bytes() for n in range(2)}
    return w.zip("a.zip", members)


@case("tar-gz-in-zip", "a .tar.gz in a zip")
def _(w):
    packed = write_tar(w.root / "in.tar.gz", pets(w), "w:gz").read_bytes()
    return w.zip("a.zip", {"in.tar.gz": packed, "README.txt": b"x"})


@case("folder-of-7z", "a .7z that nobody unpacked")
def _(w):
    w.files({"pets.7z": b"7z\xbc\xaf\x27\x1c" + bytes(50)})


@case("file-of-rar", "the source is a .rar")
def _(w):
    w.files({"pets.rar": b"Rar!\x1a\x07" + bytes(50)})
    return w.root / "pets.rar"


@case("zip-case", "Cat/0.png beside cat/0.png in a zip")
def _(w):
    made = {f"Cat/{n}.png": w.image() for n in range(N)}
    return w.zip("a.zip", made | {f"cat/{n}.png": w.image() for n in range(N)})


@case("folder-zipped-and-not", "pets.zip beside pets/, unpacked and kept")
def _(w):
    members = pets(w, "pets/")
    w.files(members)
    w.zip("pets.zip", members)


# Arrays


@case("npz-floats", "images in 0 to 1")
def _(w):
    return npz(w, images=w.random.random((12, 32, 32)), labels=np.arange(12) % 2)


@case("npz-channels-first", "[N, 3, 32, 32]")
def _(w):
    return npz(w, images=w.pixels(12, 3, 32, 32), labels=np.arange(12) % 2)


@case("npz-one-hot", "labels [N, K]")
def _(w):
    return npz(w, images=w.pixels(12, 32, 32), labels=np.eye(2, dtype=int)[np.arange(12) % 2])


@case("npz-float-labels", "labels 0.0 and 1.0")
def _(w):
    return npz(w, images=w.pixels(12, 32, 32), labels=(np.arange(12) % 2).astype(float))


@case("npz-names-as-labels", "labels cat and dog")
def _(w):
    return npz(w, images=w.pixels(12, 32, 32), labels=np.asarray(["cat", "dog"] * 6))


@case("npz-labels-from-one", "labels 1 and 2")
def _(w):
    return npz(w, images=w.pixels(12, 32, 32), labels=1 + np.arange(12) % 2)


@case("npz-upper-case", "X_train and Y_train")
def _(w):
    return npz(w, X_train=w.pixels(12, 32, 32), Y_train=np.arange(12) % 2)


@case("npz-unnamed", "arr_0 and arr_1, as savez calls them")
def _(w):
    return npz(w, arr_0=w.pixels(12, 32, 32), arr_1=np.arange(12) % 2)


@case("npy-pair", "images.npy and labels.npy in a folder")
def _(w):
    np.save(w.root / "images.npy", w.pixels(12, 32, 32))
    np.save(w.root / "labels.npy", np.arange(12) % 2)


@case("npz-flattened", "images [N, 1024]")
def _(w):
    return npz(w, images=w.pixels(12, 1024), labels=np.arange(12) % 2)


# Images


def with_one(w: Writer, name: str, content: bytes) -> None:
    w.files(pets(w) | {name: content})


def odd_image(w: Writer, mode: str, form: str, **options) -> bytes:
    return encoded(Image.fromarray(w.pixels(32, 32, 3)).convert(mode), form, **options)


@case("image-palette", "a PNG with a palette and a transparent colour")
def _(w):
    with_one(w, "cat/p.png", odd_image(w, "P", "PNG", transparency=0))


@case("image-cmyk", "a JPEG of a printer")
def _(w):
    with_one(w, "cat/p.jpg", odd_image(w, "CMYK", "JPEG"))


@case("image-one-bit", "black and white")
def _(w):
    with_one(w, "cat/p.png", odd_image(w, "1", "PNG"))


@case("image-float", "a TIFF of floats")
def _(w):
    with_one(w, "cat/p.tif", odd_image(w, "F", "TIFF"))


@case("image-wrong-suffix", "a JPEG named .png")
def _(w):
    with_one(w, "cat/p.png", odd_image(w, "RGB", "JPEG"))


@case("image-animated", "a GIF of two frames")
def _(w):
    frames = [Image.fromarray(w.pixels(32, 32)) for _ in range(2)]
    with_one(w, "cat/p.gif", encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))


@case("image-pages", "a TIFF of two pages")
def _(w):
    pages = [Image.fromarray(w.pixels(32, 32)) for _ in range(2)]
    with_one(w, "cat/p.tiff", encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))


@case("image-truncated", "half of a JPEG")
def _(w):
    whole = odd_image(w, "RGB", "JPEG")
    with_one(w, "cat/p.jpg", whole[: len(whole) // 2])


@case("image-empty", "a .png of 0 bytes")
def _(w):
    with_one(w, "cat/p.png", b"")


@case("image-upper-suffix", "0.PNG, 1.JPG")
def _(w):
    w.files({f"{c}/{n}.PNG": w.image() for c in ("cat", "dog") for n in range(N)})


@case("image-gzipped", "0.png.gz")
def _(w):
    w.files({f"{c}/{n}.png.gz": gzip.compress(w.image()) for c in "ab" for n in range(N)})


@case("image-oblong", "images of 32 x 24, no image_size", "data.image_size=null", "nets=pyramid")
def _(w):
    w.files({f"{c}/{n}.png": encoded(Image.new("L", (32, 24))) for c in "ab" for n in range(N)})


# Tables


@case("parquet-fine-label", "img, fine_label, coarse_label, as a set of 100 classes has")
def _(w):
    columns = {"img": raw(w), "fine_label": [0, 1] * N, "coarse_label": [0] * 2 * N}
    return table(w, "a.parquet", columns)


@case("parquet-target", "image and target")
def _(w):
    return table(w, "a.parquet", {"image": raw(w), "target": [0, 1] * N})


@case("parquet-dictionary", "names as Arrow's dictionary type")
def _(w):
    names = pa.array(["cat", "dog"] * N).dictionary_encode()
    return table(w, "a.parquet", {"image": raw(w), "label": names})


@case("parquet-floats", "labels 0.0 and 1.0")
def _(w):
    return table(w, "a.parquet", {"image": raw(w), "label": [0.0, 1.0] * N})


@case("parquet-bools", "labels true and false")
def _(w):
    return table(w, "a.parquet", {"image": raw(w), "label": [True, False] * N})


@case("parquet-some-null", "a row without a label")
def _(w):
    return table(w, "a.parquet", {"image": raw(w), "label": [0, 1] * (N - 1) + [0, None]})


@case("parquet-pixels", "lists of numbers instead of images")
def _(w):
    cells = [w.pixels(32 * 32).tolist() for _ in range(2 * N)]
    return table(w, "a.parquet", {"image": cells, "label": [0, 1] * N})


@case("parquet-zstd", "several row groups, packed by Zstandard")
def _(w):
    columns = {"image": raw(w), "label": [0, 1] * N}
    return table(w, "a.parquet", columns, compression="zstd", row_group_size=4)


@case("parquet-by-folder", "label=cat/part-0.parquet: Hive's partitions")
def _(w):
    for name in ("cat", "dog"):
        table(w, f"label={name}/part-0.parquet", {"image": raw(w, N)})


@case("arrow-saved", "what `save_to_disk` leaves: data-00000-of-00001.arrow, dataset_info.json")
def _(w):
    w.files({"dataset_info.json": b"{}", "state.json": b"{}"})
    made = pa.table({"image": raw(w), "label": [0, 1] * N})
    with pa.ipc.new_stream(w.root / "data-00000-of-00001.arrow", made.schema) as writer:
        writer.write_table(made)


@case("csv-of-labels", "labels.csv (id, breed) beside a flat folder, as competitions have it")
def _(w):
    classes(w, "train/{}.png")
    rows = "\n".join(f"{n},{'cat' if n % 2 else 'dog'}" for n in range(N))
    w.files({"labels.csv": f"id,breed\n{rows}\n".encode()})


# Shards


def shard(w: Writer, name: str, *members: tuple[str, bytes]) -> Path:
    return w.tar(name, members)


@case("shard-captions", "a .txt of words and no class")
def _(w):
    found = [(f"{n}.{e}", c) for n in range(N) for e, c in (("png", w.image()), ("txt", b"a cat"))]
    return shard(w, "a.tar", *found)


@case("shard-label-lines", "0\\r\\n as labels")
def _(w):
    found = [
        (f"{n}.{e}", c)
        for n in range(2 * N)
        for e, c in (("jpg", w.image("JPEG")), ("cls", f" {n % 2}\r\n".encode()))
    ]
    return shard(w, "a.tar", *found)


@case("shard-float-label", "1.0 as a label")
def _(w):
    found = [
        (f"{n}.{e}", c)
        for n in range(2 * N)
        for e, c in (("png", w.image()), ("cls", f"{n % 2}.0".encode()))
    ]
    return shard(w, "a.tar", *found)


@case("shard-some-unlabelled", "one sample of twelve has no label")
def _(w):
    members = w.samples(N)
    del members["0003.cls"]
    return w.tar("a.tar", members)


@case("shards-in-split-folders", "train/0.tar, val/0.tar")
def _(w):
    for split in ("train", "val"):
        w.tar(f"{split}/000.tar", w.samples(N))


@case("shards-and-index", "shards, their .idx files and wids' shardindex.json")
def _(w):
    w.tar("a-0.tar", w.samples(N))
    w.files({"a-0.idx": b"v1.2 1\n", "shardindex.json": b"{}"})


@case("shard-json-deep", "the class in json's meta.label")
def _(w):
    found = [
        (f"{n}.{e}", c)
        for n in range(2 * N)
        for e, c in (
            ("png", w.image()),
            ("json", json.dumps({"meta": {"label": n % 2}}).encode()),
        )
    ]
    return shard(w, "a.tar", *found)


@case("shard-empty", "a tar without members beside a good one")
def _(w):
    w.tar("a-0.tar", w.samples(N))
    w.tar("a-1.tar", {})


# Few


@case("few-two-each", "two images of each class")
def _(w):
    classes(w, "cat", "dog", count=2)


@case("few-one-each", "one image of each class")
def _(w):
    classes(w, "cat", "dog", count=1)


@case("few-uneven", "forty cats, two dogs")
def _(w):
    classes(w, "cat", count=40)
    classes(w, "dog", count=2)


def write(name: str, folder: Path) -> list[str]:
    """Write a case into `folder`; returns the settings to use, its source first."""
    folder.mkdir(parents=True)
    source = CASES[name].make(Writer(folder)) or folder
    return [f"data.source={source}", *CASES[name].settings]
