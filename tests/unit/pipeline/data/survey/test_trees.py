"""Image files in folders: what is read, and what becomes of everything else."""

import unicodedata

import pytest

from pipeline.errors import UserError


def test_classes_and_files_come_in_their_order(grow, plan, look) -> None:
    folder = grow("10/0.png", "9/1.png", "9/0.png", "1/0.png")
    assert look(folder).classes == ("1", "9", "10")
    assert plan(folder).files == {
        "train": [("1/0.png", 0), ("9/0.png", 1), ("9/1.png", 1), ("10/0.png", 2)]
    }


def test_splits_have_their_own_counts(grow, look, made) -> None:
    folder = grow(train__cat=3, train__dog=2, test__cat=1, val__dog=4)
    found = look(folder)
    assert made.roles(found) == [("train", "train", 5), ("test", "test", 1), ("val", "left out", 4)]
    assert found.splits[0].counts == (3, 2) and (found.read, found.not_read) == (6, 4)


def test_a_test_split_of_one_folder_that_is_no_class_has_no_labels(grow, look, made) -> None:
    folder = grow(train__cat=3, train__dog=2, test1__test1=4)
    assert made.roles(look(folder))[-1] == ("test1", "left out", 4)


def test_a_class_of_the_test_split_alone_is_an_error(grow, look) -> None:
    with pytest.raises(UserError, match=r"test/cow: class 'cow' is not in the training split"):
        look(grow(train__cat=3, train__dog=2, test__cow=4))


def test_names_in_two_forms_are_one_class(grow, look, made) -> None:
    composed, split = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    folder = grow(f"train/{composed}/0.png", "train/a/0.png", f"test/{split}/0.png")
    found = look(folder)
    assert found.classes == ("a", composed)
    assert made.roles(found) == [("train", "train", 2), ("test", "test", 1)]
    with pytest.raises(UserError, match="has two folders"):
        look(grow(f"{composed}/0.png", f"{split}/0.png", "b/0.png", root="two"))


def test_what_lies_beside_is_counted(grow, look) -> None:
    folder = grow("cat/0.png", "dog/0.png", "loose.png", "notes.txt", "dog/x.psd", "cat/bare")
    found = look(folder)
    assert (found.read, found.not_read) == (3, 2)
    assert {left.kind: left.count for left in found.left_out} == {
        "images beside the folders that are read": 1,
        ".txt files": 1,
        ".psd files, pictures that are not read": 1,
    }


def test_chosen_classes_in_their_order(grow, look) -> None:
    folder = grow(a=1, b=2, c=3)
    found = look(folder, classes=["c", "a"])
    assert found.classes == ("c", "a") and found.splits[0].counts == (3, 1) and found.not_read == 2
    with pytest.raises(UserError, match=r"data\.classes names x; there are a"):
        look(folder, classes=["x", "a"])


@pytest.mark.parametrize("empty", ["folder", "links"])
def test_a_class_without_images_is_an_error(grow, look, empty: str) -> None:
    folder = grow(cat=2, dog=2)
    (folder / "eel").mkdir()
    if empty == "links":
        (folder / "eel" / "0.png").symlink_to("nowhere")
    with pytest.raises(UserError, match=r"set/eel: no images in it"):
        look(folder)


def test_a_class_that_is_left_out_may_be_empty(grow, look) -> None:
    folder = grow(cat=2, dog=2)
    (folder / "eel").mkdir()
    assert look(folder, classes=["cat", "dog"]).read == 4
    with pytest.raises(UserError, match=r"set/eel: no images in it"):
        look(folder, classes=["cat", "dog", "eel"])


def test_images_without_classes_are_told_where_labels_come_from(grow, look) -> None:
    with pytest.raises(UserError, match=r"holds images but no folders: .*metadata\.csv"):
        look(grow("0.png", "1.png"))
