"""Shards by their headers and labels."""

import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from pipeline.data import shard_writer
from pipeline.errors import UserError


def pairs(png: bytes, labels: list, ending: str = "cls") -> list[tuple[str, bytes]]:
    made = []
    for n, label in enumerate(labels):
        made += [
            (f"{n}.png", png),
            (f"{n}.{ending}", label if isinstance(label, bytes) else str(label).encode()),
        ]
    return made


def test_names_as_labels_in_text_and_json(tmp_path, look, plan, made) -> None:
    made.shard(tmp_path / "a.tar", pairs(made.png, ["dog", "cat", "dog"]))
    assert look(tmp_path).classes == ("cat", "dog")
    labels = [json.dumps({"label": name}).encode() for name in ("dog", "cat")]
    made.shard(tmp_path / "b.tar", pairs(made.png, labels, "json"))
    found = look(tmp_path)
    assert found.classes == ("cat", "dog") and found.splits[0].counts == (2, 3)
    assert plan(tmp_path).numbers == {"cat": 0, "dog": 1}


def test_numbers_and_splits(tmp_path, look, made) -> None:
    made.shard(tmp_path / "train-0.tar", pairs(made.png, [0, 1, 1]))
    made.shard(tmp_path / "val-0.tar", pairs(made.png, [1]))
    made.shard(tmp_path / "test-0.tar", [("0.png", made.png)])
    found = look(tmp_path)
    assert made.roles(found) == [
        ("train", "train", 3), ("val", "test", 1), ("test", "left out", 1),
    ]  # fmt: skip
    assert found.splits[0].counts == (1, 2)


def test_blocks_are_counted_by_their_rows(tmp_path, look, made) -> None:
    members = []
    for name, array in (("x", np.zeros((3, 4, 4, 1), np.uint8)), ("y", np.array([0, 1, 1]))):
        buffer = io.BytesIO()
        np.save(buffer, array)
        members.append((f"a.{name}.npy", buffer.getvalue()))
    made.shard(tmp_path / "a.tar", members)
    assert look(tmp_path).splits[0].counts == (1, 2)
    made.shard(tmp_path / "b.tar", pairs(made.png, [0, 1]))
    with pytest.raises(UserError, match="both single images and blocks"):
        look(tmp_path)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("0.png", b""), ("0.cls", b"")], r"a\.tar: sample 0: its label says no class"),
        (
            [("0.png", b""), ("0.cls", b"1"), ("1.png", b"")],
            r"sample 1: has \['png'\]; expected an image",
        ),
        ([("0.png", b""), ("0.json", b"{}")], "json must give the class"),
    ],
)
def test_labels_that_say_no_class_are_named(tmp_path, look, made, members, message) -> None:
    made.shard(tmp_path / "a.tar", members)
    with pytest.raises(UserError, match=message):
        look(tmp_path / "a.tar", format="webdataset")


def test_the_names_of_our_own_are_known_before_decoding(
    written, dataset, small, tmp_path, look
) -> None:
    wrap = tmp_path / "wrap"
    shutil.copytree(written, wrap / "one")
    assert look(wrap).classes == ("a", "b", "c", "d")
    with pytest.raises(UserError, match=r"data\.classes names b, a, c, d, and manifest\.parquet"):
        look(wrap, classes=["b", "a", "c", "d"])
    other = replace(dataset, classes=("d", "c", "b", "a"))
    shard_writer.write(other, wrap / "two", small)
    with pytest.raises(UserError, match=r"one/manifest\.parquet, two/manifest\.parquet name other"):
        look(wrap)
