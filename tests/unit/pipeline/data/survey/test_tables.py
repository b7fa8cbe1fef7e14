"""Parquet files by their footers and labels."""

import json

import pytest

from pipeline.errors import UserError


def names(*classes: str, column: str = "label", image: str = "image") -> dict[str, str]:
    features = {image: {"_type": "Image"}, column: {"names": classes, "_type": "ClassLabel"}}
    return {"huggingface": json.dumps({"info": {"features": features}})}


def test_splits_at_any_depth_and_the_schema_s_names(tmp_path, look, made) -> None:
    for split, labels in (("train", [0, 1, 1]), ("test", [1])):
        made.table(tmp_path / f"plain_text/{split}/0000.parquet", labels, names("cat", "dog"))
    found = look(tmp_path)
    assert found.classes == ("cat", "dog") and found.labels == "column label, named by the schema"
    assert made.roles(found) == [("train", "train", 3), ("test", "test", 1)]
    assert found.splits[0].counts == (1, 2)


def test_the_schema_says_which_columns_are_meant(tmp_path, look, made) -> None:
    metadata = names("a", "b", column="kind", image="photo")
    made.table(tmp_path / "x.parquet", [0, 1], metadata, image="photo", label="kind")
    assert look(tmp_path / "x.parquet").classes == ("a", "b")


def test_the_schema_s_names_in_the_order_that_is_set(tmp_path, look, plan, made) -> None:
    made.table(tmp_path / "x.parquet", [0, 1, 1], names("cat", "dog"))
    found = look(tmp_path, classes=["dog", "cat"])
    assert found.classes == ("dog", "cat") and found.splits[0].counts == (2, 1)
    assert plan(tmp_path, classes=["dog", "cat"]).numbers == {0: 1, 1: 0}
    assert plan(tmp_path, classes=["cat", "dog"]).numbers is None
    with pytest.raises(UserError, match=r"data\.classes names x, y, and the labels are cat, dog;"):
        look(tmp_path, classes=["x", "y"])


def test_a_label_that_the_schema_does_not_name_is_told(tmp_path, look, made) -> None:
    made.table(tmp_path / "x.parquet", [0, 1, 2], names("cat", "dog"))
    with pytest.raises(UserError, match=r"label 2, and the schema names 2 classes, from 0"):
        look(tmp_path)


def test_names_as_labels_and_numbers(tmp_path, look, plan, made) -> None:
    made.table(tmp_path / "a.parquet", ["10", "9", "9"])
    assert look(tmp_path).classes == ("9", "10")
    assert plan(tmp_path).numbers == {"9": 0, "10": 1}
    made.table(tmp_path / "a.parquet", [0, 1, 2])
    assert look(tmp_path, classes=["x", "y", "z"]).classes == ("x", "y", "z")
    with pytest.raises(
        UserError, match=r"data\.classes names 2 classes, and the labels are 0 to 2"
    ):
        look(tmp_path, classes=["x", "y"])


@pytest.mark.parametrize("hidden", [[-1, -1], [None, None], ["", ""]])
def test_a_split_whose_labels_are_hidden_is_left_out(tmp_path, look, made, hidden) -> None:
    known = [0, 1] if hidden != ["", ""] else ["a", "b"]
    made.table(tmp_path / "train.parquet", known)
    made.table(tmp_path / "test.parquet", hidden)
    assert made.roles(look(tmp_path)) == [("train", "train", 2), ("test", "left out", 2)]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, -1, 1], r"1 of 3 rows have the label -1, which says no class"),
        ([-1, -1], r"2 of 2 rows have the label -1"),
        ([0, 1_000_000], "label 1000000; labels count from 0"),
        ([0.5, 1.0], "label 0.5; it must be an integer from 0 or a name"),
        ([[0], [1]], "label is of type list"),
    ],
)
def test_labels_that_say_no_class_are_named(tmp_path, look, made, labels, message) -> None:
    made.table(tmp_path / "train.parquet", labels)
    with pytest.raises(UserError, match=message):
        look(tmp_path)


def test_files_that_contradict_one_another(tmp_path, look, made) -> None:
    made.table(tmp_path / "a.parquet", [0, 1])
    made.table(tmp_path / "b.parquet", ["x", "y"])
    with pytest.raises(UserError, match="label 0 beside labels that are names"):
        look(tmp_path)
    made.table(tmp_path / "a.parquet", [0, 1], names("a", "b"))
    made.table(tmp_path / "b.parquet", [0, 1], names("b", "a"))
    with pytest.raises(UserError, match="name different classes"):
        look(tmp_path)
    made.table(tmp_path / "b.parquet", [0, 1], names("a", "a"))
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(UserError, match="the class name 'a' stands twice"):
        look(tmp_path)
