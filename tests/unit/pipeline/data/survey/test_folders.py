"""Which folders are classes, which are splits, and which only wrap the others."""

import pytest

from pipeline.data.survey.folders import Found, find, is_no_class, tree
from pipeline.data.survey.listing import Entry
from pipeline.errors import UserError


def found(*paths: str, splits=None, classes=None) -> Found:
    entries = [
        Entry(f"{path}/{n}.png" if "." not in path else path, 1) for path in paths for n in (1, 2)
    ]
    return find(tree(dict.fromkeys(entries)), splits, classes, "/d")


def test_the_one_folder_with_data_is_entered_however_deep() -> None:
    made = found("a/b/c/cat", "a/b/c/dog", "loose.png", "a/b/more.png")
    assert made.folder.path == "a/b/c" and made.folder.names() == {"cat", "dog"}
    assert [entry.path for entry in made.passed] == ["loose.png", "a/b/more.png"]
    assert made.folder.count == 4


def test_folders_in_a_class_belong_to_it() -> None:
    made = found("cat/young", "cat/old", "dog")
    assert made.folder.path == "" and len(made.folder.folders["cat"].every()) == 4


@pytest.mark.parametrize(
    ("paths", "splits"),
    [
        (("train/cat", "train/dog", "test/cat"), ["train", "test"]),
        (("seg_train/seg_train/cat", "seg_test/seg_test/cat"), ["test", "train"]),
        (("a/train/cat", "a/val/cat", "a/test"), ["test", "train", "val"]),
        (("train/cat", "test"), ["test", "train"]),
        (("train/cat", "test/cat", "unlabeled"), ["test", "train", "unlabelled"]),
    ],
)
def test_a_name_is_a_split_beside_another_of_its_kind(paths, splits) -> None:
    made = found(*paths)
    assert sorted(word for _, word, _ in made.splits) == sorted(splits)
    assert all(inner.names() <= {"cat", "dog"} for _, _, inner in made.splits)


@pytest.mark.parametrize(
    "paths",
    [
        ("bus", "car", "train"),
        ("bus", "car", "train/steam", "train/diesel"),
        ("train station/a", "test track/b"),  # what else they say differs
        ("train", "truck", "val"),
    ],
)
def test_else_it_is_a_class(paths) -> None:
    made = found(*paths)
    assert not made.splits and made.folder.path == ""


def test_folders_beside_splits_are_left_out_where_the_splits_have_the_same_classes() -> None:
    made = found("train/cat", "train/dog", "test/cat", "docs")
    assert [folder.name for folder in made.beside] == ["docs"]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (
            ("images/cat", "extra/cat"),
            r"extra|images.*hold the same folders \(cat\).*data\.source=/d/",
        ),
        (("cat", "dog", "test/cat"), r"test holds cat, which also lie beside it.*data\.classes"),
        (("train", "test"), r"names of splits, but hold no class folders.*data\.splits=\{\}"),
        (
            ("bus", "train/a", "test/b"),
            r"train, test read as splits, but bus lie beside.*data\.splits",
        ),
    ],
)
def test_what_can_be_read_in_two_ways_names_what_decides(paths, message) -> None:
    with pytest.raises(UserError, match=message):
        found(*paths)


def test_settings_decide() -> None:
    assert not found("train/cat", "test/cat", splits={}).splits
    assert not found("images/cat", "extra/cat", classes=["images", "extra"]).splits
    made = found("a/cat", "b/cat", "c/cat", splits={"train": ["a"], "test": ["b"]})
    assert [folder.name for folder, _, _ in made.splits] == ["a", "b"]
    assert [folder.name for folder in made.beside] == ["c"]
    assert (
        len(found("x/train/cat", "x/val/cat", splits={"train": ["train"], "test": ["val"]}).splits)
        == 2
    )


def test_names_that_say_nothing_of_a_class() -> None:
    assert all(map(is_no_class, ("test1", "unknown", "0", "images")))
    assert not is_no_class("cow")
