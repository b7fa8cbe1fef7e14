"""Labels that lie beside the images."""

import json
from pathlib import Path

import pytest

from pipeline.errors import UserError


def beside(folder: Path, name: str, content: str) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)
    return folder


ROWS = {"a.png": "dog", "b.png": "cat", "c.png": "cat"}


@pytest.mark.parametrize("form", ["metadata.csv", "metadata.jsonl", "dataset.json"])
def test_labels_are_read_from_the_common_forms(grow, look, plan, form: str) -> None:
    folder = grow(*ROWS)
    if form == "metadata.csv":
        text = "file_name,label\n" + "".join(f"{name},{label}\n" for name, label in ROWS.items())
    elif form == "metadata.jsonl":
        text = "".join(json.dumps({"file_name": n, "label": c}) + "\n" for n, c in ROWS.items())
    else:
        text = json.dumps({"labels": [[name, label] for name, label in ROWS.items()]})
    beside(folder, form, text)
    found = look(folder)
    assert found.classes == ("cat", "dog") and found.labels.startswith(form)
    assert plan(folder).files["train"] == [("b.png", 0), ("c.png", 0), ("a.png", 1)]


@pytest.mark.parametrize("form", ["metadata.csv", "dataset.json"])
def test_chosen_classes_in_their_order(grow, look, made, form: str) -> None:
    rows = [[f"{split}/{n}.png", c] for split in ("train", "test") for n, c in enumerate("abca")]
    folder = grow(*(name for name, _ in rows))
    lines = "".join(f"{name},{label}\n" for name, label in rows)
    table = f"file_name,label\n{lines}"
    beside(folder, form, table if form.endswith("csv") else json.dumps({"labels": rows}))
    found = look(folder, classes=["c", "a"])
    assert found.classes == ("c", "a") and found.splits[0].counts == (1, 2)
    assert made.roles(found) == [("train", "train", 3), ("test", "test", 3)]
    assert [(left.kind, left.images) for left in found.left_out] == [
        ("images of classes that data.classes leaves out", 2)
    ]
    with pytest.raises(UserError, match=r"data\.classes names x, y; there are none of these"):
        look(folder, classes=["x", "y"])


def test_numbers_are_classes_in_their_order_wherever_the_files_lie(grow, look) -> None:
    folder = grow("00000/img0.png", "00000/img1.png", "00001/img2.png")
    labels = [["00000/img0.png", 10], ["00000/img1.png", 9], ["00001/img2.png", 9]]
    beside(folder, "dataset.json", json.dumps({"labels": labels}))
    found = look(folder)
    assert found.classes == ("9", "10") and found.splits[0].counts == (2, 1)


def test_each_split_has_its_own(grow, look, made) -> None:
    folder = grow("train/a.png", "train/b.png", "test/a.png")
    beside(folder, "train/metadata.csv", "file_name,label\na.png,x\nb.png,y\n")
    beside(folder, "test/metadata.csv", "file_name,label\na.png,y\n")
    assert made.roles(look(folder)) == [("train", "train", 2), ("test", "test", 1)]


def test_images_without_a_row_and_rows_without_an_image_are_told(grow, look) -> None:
    folder = beside(
        grow("a.png", "b.png", "c.png"),
        "metadata.csv",
        "file_name,label\na.png,x\nb.png,y\nz.png,x\n",
    )
    found = look(folder)
    assert (found.read, found.not_read) == (2, 1)
    assert any(
        "1 rows of metadata.csv (label) name images that are not there" in n for n in found.notes
    )


def test_files_without_labels_are_told_and_folders_decide(grow, look) -> None:
    folder = beside(grow(cat=2, dog=2), "metadata.csv", "file_name,text\ncat/0.png,a cat\n")
    beside(folder, "boxes.csv", "x,y\n")
    found = look(folder)
    assert found.classes == ("cat", "dog")
    assert found.notes[0] == "metadata.csv holds no labels, so it is not read"
    assert found.notes[1].startswith("boxes.csv: labels are not read from there")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("metadata.jsonl", "[1]\n", r"line 1 is '\[1\]'; each must be an object"),
        ("metadata.jsonl", "{", "cannot be read"),
        ("dataset.json", '{"labels": [1]}', r"must be \[file name, class\] pairs"),
        (
            "metadata.csv",
            "file_name,label\na.png,x\na.png,y\n",
            "a.png has two labels, 'x' and 'y'",
        ),
        (
            "metadata.jsonl",
            '{"file_name": "a.png", "label": [1]}',
            r"label '\[1\]'; it must be a name",
        ),
    ],
)
def test_what_cannot_be_read_is_named(grow, look, name, text, message) -> None:
    with pytest.raises(UserError, match=message):
        look(beside(grow("a.png", "b.png"), name, text))


def test_splits_that_are_named_whatever_their_names(grow, look, made) -> None:
    names = [f"{split}/{n}.png" for split in ("fold1", "fold2", "fold3") for n in range(2)]
    folder = grow(*names)
    rows = "".join(f"{name},{'ab'[n % 2]}\n" for n, name in enumerate(names))
    beside(folder, "metadata.csv", f"file_name,label\n{rows}")
    found = look(folder, splits={"train": ["fold1"], "test": ["fold2"]})
    assert made.roles(found) == [
        ("fold1", "train", 2), ("fold2", "test", 2), ("fold3", "left out", 2),
    ]  # fmt: skip
    assert made.roles(look(folder))[0][1:] == ("train", 6)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_caption_may_hold_any_line_separator(grow, look, ending: str) -> None:
    folder = grow(*ROWS)
    rows = [
        json.dumps({"file_name": n, "label": c, "text": "a\u2028b\x85"}, ensure_ascii=False)
        for n, c in ROWS.items()
    ]
    (folder / "metadata.jsonl").write_bytes(ending.join(rows).encode())
    assert look(folder).classes == ("cat", "dog")
