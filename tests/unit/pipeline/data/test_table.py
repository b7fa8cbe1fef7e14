"""Every cell of the table in docs/DATA.md: form x place x splits x labels."""

import gzip
import io
import itertools
import json
import shutil
import struct
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.data import formats

ROOT = Path(__file__).resolve().parents[4]
PLACES = ("folder", "zip", "tar", "tar.gz")
# A split's name, its images of each of two classes, and whether its labels are told.
SPLITS = {
    "none": [("", 4, True)],
    "train, test": [("train", 4, True), ("test", 2, True)],
    "train, val": [("train", 4, True), ("val", 2, True)],
    "train, val, test": [("train", 4, True), ("val", 3, True), ("test", 2, True)],
    "train, val, test without labels": [("train", 4, True), ("val", 2, True), ("test", 3, False)],
}
READ = {  # images trained on, held out and left out
    "none": (8, 0, 0),
    "train, test": (8, 4, 0),
    "train, val": (8, 4, 0),
    "train, val, test": (8, 4, 6),
    "train, val, test without labels": (8, 4, 6),
}
LABELS = {
    "folder": ("folders", "metadata.csv", "metadata.jsonl", "dataset.json"),
    "npz": ("numbers", "numbers and classes"),
    "idx": ("numbers",),
    "parquet": ("numbers", "names", "ClassLabel"),
    "webdataset": ("cls numbers", "cls names", "json numbers", "json names"),
}
ARRAYS = ("npz", "idx")
NAMED = ("folders", "metadata.csv", "metadata.jsonl", "dataset.json", "numbers and classes")
NAMED += ("names", "ClassLabel", "cls names", "json names")
CELLS = [
    (form, place, splits, labels)
    for form, kinds in LABELS.items()
    for place, splits, labels in itertools.product(PLACES, SPLITS, kinds)
    if form not in ARRAYS or splits in ("none", "train, test")
]


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def told(label: int, labels: str) -> int | str:
    return ("cat", "dog")[label] if labels in NAMED and labels != "ClassLabel" else label


def write_folder(root: Path, split: str, each: int, known: bool, labels: str) -> None:
    rows = []
    for label, number in itertools.product(range(2), range(each)):
        folder = ("cat", "dog")[label] if labels == "folders" and known else ""
        path = root / split / folder / f"{label}-{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(label))
        rows.append((path.name, told(label, labels)))
    beside = root / split / labels
    if labels == "folders" or not known:
        return
    if labels == "metadata.csv":
        lines = ["file_name,label", *(f"{name},{label}" for name, label in rows)]
        beside.write_text("\n".join(lines) + "\n")
    elif labels == "metadata.jsonl":
        lines = [json.dumps({"file_name": name, "label": label}) for name, label in rows]
        beside.write_text("\n".join(lines) + "\n")
    else:
        beside.write_text(json.dumps({"labels": rows}))


def write_parquet(root: Path, split: str, each: int, known: bool, labels: str) -> None:
    values = [told(n % 2, labels) for n in range(2 * each)]
    if not known:
        values = ["" if labels == "names" else -1] * len(values)
    features = {
        "image": {"_type": "Image"},
        "label": {"_type": "ClassLabel", "names": ["cat", "dog"]},
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"image": [png(n % 2) for n in range(2 * each)], "label": values})
    path = root / "data" / f"{split or 'x'}-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        table.replace_schema_metadata(metadata if labels == "ClassLabel" else None), path
    )


def write_webdataset(root: Path, split: str, each: int, known: bool, labels: str) -> None:
    ending = labels.split()[0]
    with tarfile.open(root / f"{split or 'x'}-000000.tar", "w") as tar:
        for n in range(2 * each):
            label = told(n % 2, labels)
            content = json.dumps({"label": label}) if ending == "json" else str(label)
            members = [("png", png(n % 2))] + [(ending, content.encode())] * known
            for suffix, data in members:
                info = tarfile.TarInfo(f"{n:04}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def write_arrays(root: Path, form: str, splits: str, labels: str) -> None:
    arrays = {}
    for split, each, _ in SPLITS[splits]:
        y = np.arange(2 * each) % 2
        x = y[:, None, None].repeat(4, 1).repeat(4, 2).astype(np.uint8)
        arrays |= {f"x_{split or 'train'}": x, f"y_{split or 'train'}": y}
    if form == "npz":
        more = {"classes": np.array(["cat", "dog"])} if labels == "numbers and classes" else {}
        np.savez(root / "set.npz", **arrays, **more)
        return
    for name, array in arrays.items():
        split = "train" if name.endswith("train") else "t10k"
        kind = "images-idx3" if name[0] == "x" else "labels-idx1"
        head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        path = root / f"{split}-{kind}-ubyte.gz"
        path.write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes()))


WRITERS = {"folder": write_folder, "parquet": write_parquet, "webdataset": write_webdataset}


def placed(root: Path, place: str) -> Path:
    kinds = {"zip": "zip", "tar": "tar", "tar.gz": "gztar"}
    if place == "folder":
        return root
    return Path(shutil.make_archive(str(root.parent / "packed"), kinds[place], root))


@pytest.mark.parametrize(("form", "place", "splits", "labels"), CELLS)
def test_a_cell(tmp_path, settings, form, place, splits, labels) -> None:
    root = tmp_path / "set"
    root.mkdir()
    if form in ARRAYS:
        write_arrays(root, form, splits, labels)
    else:
        for split, each, known in SPLITS[splits]:
            WRITERS[form](root, split, each, known, labels)
    decoded, found = formats.decode(placed(root, place), settings())
    assert found.form == form
    assert (found.images("train"), found.images("test")) == READ[splits][:2]
    assert found.not_read == READ[splits][2]
    assert found.classes == (("cat", "dog") if labels in NAMED else ("0", "1"))
    for part, count in zip((decoded.train, decoded.test), READ[splits], strict=False):
        images, numbers = part if part is not None else (np.zeros((0, 1, 1, 1)), np.zeros(0))
        assert len(numbers) == count
        np.testing.assert_array_equal(np.asarray(images)[:, 0, 0, 0], numbers)


def test_the_table_is_that_of_the_documentation() -> None:
    lines = (ROOT / "docs" / "DATA.md").read_text().splitlines()
    rows = [
        [cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in lines if "|" in line
    ]
    forms = {row[0]: row for row in rows}
    for form, kinds in LABELS.items():
        for kind in kinds:
            assert kind in forms[form][2].replace("`", ""), (form, kind)
    for splits, (train, test, left) in READ.items():
        row = forms[splits]
        assert row[2:5] == [part if part else "-" for part in _words(splits, train, test, left)]


def _words(splits: str, train: int, test: int, left: int) -> tuple[str, str, str]:
    names = [name for name, _, _ in SPLITS[splits]]
    sizes = {name: 2 * each for name, each, _ in SPLITS[splits]}
    held = next((n for n in ("test", "val") if sizes.get(n) == test and test), "")
    out = next((n for n in names if n not in ("train", held) and left and sizes[n] == left), "")
    return ("train" if "train" in names else "all"), held, out
