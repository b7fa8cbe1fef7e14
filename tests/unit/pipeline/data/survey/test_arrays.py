"""Arrays on disk by their headers."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.survey import arrays
from pipeline.data.survey.listing import Entry
from pipeline.errors import UserError


def test_the_real_digits_by_their_headers(mnist_small: Path, look, made) -> None:
    found = look(mnist_small)
    assert found.form == "idx" and [split.images for split in found.splits] == [2000, 500]


def test_spellings_and_sets_of_idx_files() -> None:
    names = (
        "train-images-idx3-ubyte",
        "train-labels.idx1-ubyte.gz",
        "a/emnist-train-images-idx3-ubyte",
    )
    found = arrays.idx_sets([Entry(name, 1) for name in (*names, "a/x-idx3-ubyte")])
    assert found == {
        "": {"train_images": names[0], "train_labels": names[1]},
        "a/emnist-": {"train_images": names[2]},
    }


def test_two_sets_of_idx_files_have_to_be_told_apart(tmp_path, look) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train-images-idx3-ubyte").write_bytes(
            struct.pack(">4I", 2051, 7, 1, 1)
        )
    with pytest.raises(UserError, match=r"2 sets of IDX files, expected one \(a/, b/\)"):
        look(tmp_path)
    assert look(tmp_path / "a").splits[0].images == 7


def test_damaged_headers_are_left_to_the_reader(tmp_path, look) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(bytes(100))[:12])
    assert look(tmp_path).splits[0].images == -1


def test_npz_by_its_header(tmp_path, look) -> None:
    x, y = np.zeros((6, 4, 4), np.uint8), np.arange(6) % 2
    np.savez(
        tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2], extra=x, note=[1]
    )
    found = look(tmp_path / "a.npz")
    assert [(split.name, split.role, split.images) for split in found.splits] == [
        ("x_train", "train", 6), ("x_test", "test", 2),
    ]  # fmt: skip
    assert [(left.kind, left.count, left.images) for left in found.left_out] == [
        ("arrays of other names", 2, 6)
    ]
    with pytest.raises(UserError, match=r"b\.npz: truncated, damaged, or not a plain \.npz"):
        (tmp_path / "b.npz").write_bytes(b"PK")
        look(tmp_path / "b.npz")


def npz(path: Path, **more: np.ndarray) -> Path:
    x, y = np.zeros((6, 4, 4), np.uint8), np.array([0, 0, 0, 0, 1, 1])
    np.savez(path, x_train=x, y_train=y, **more)
    return path


def test_the_names_of_an_npz_in_the_order_that_is_set(tmp_path, look, plan) -> None:
    path = npz(tmp_path / "a.npz", classes=np.array(["cat", "dog"]))
    found = look(path, classes=["dog", "cat"])
    assert found.classes == ("dog", "cat") and found.splits[0].counts == (2, 4)
    assert plan(path, classes=["dog", "cat"]).numbers == {0: 1, 1: 0}
    with pytest.raises(UserError, match=r"data\.classes names x, y, and the labels are cat, dog;"):
        look(path, classes=["x", "y"])
    assert look(npz(tmp_path / "b.npz"), classes=["x", "y"]).splits[0].counts == (4, 2)


def test_splits_of_arrays_are_what_they_are_called(tmp_path, look, mnist_small, grow) -> None:
    test = {"x_test": np.zeros((2, 4, 4), np.uint8), "y_test": np.arange(2)}
    paths = (npz(tmp_path / "a.npz", **test), mnist_small, grow("data_batch_1.bin"))
    for path in paths:
        assert look(path, splits={"train": ["train"], "test": ["test"]}).held_out
        for splits in ({}, {"train": ["train", "test"]}, {"train": ["train"]}):
            with pytest.raises(UserError, match=r"data\.splits cannot change that .* is held out"):
                look(path, splits=splits)
        with pytest.raises(UserError, match=r"data\.splits names 'val'"):
            look(path, splits={"train": ["train"], "test": ["val"]})
    assert look(npz(tmp_path / "b.npz"), splits={}).read == 6


def test_files_of_known_sets_have_the_names_that_are_set(grow, look) -> None:
    names = list("abcdefghij")
    assert look(grow("data_batch_1.bin"), classes=names).classes == tuple(names)


def test_two_files_where_one_is_needed(tmp_path, look) -> None:
    for name in ("a.npz", "b.npz"):
        np.savez(tmp_path / name, images=np.zeros((4, 4, 4), np.uint8), labels=[0, 1, 0, 1])
    with pytest.raises(
        UserError, match=r"2 \.npz files, expected one .*name it itself: data\.source="
    ):
        look(tmp_path)
    np.savez(tmp_path / "a.npz", statistics=np.zeros(4))
    assert look(tmp_path).splits[0].images == 4


def test_files_of_known_sets() -> None:
    entries = [Entry("x/data_batch_1.bin", 1), Entry("y/test_32x32.mat", 1)]
    assert arrays.cifar_folders(entries) == ["x"] and arrays.svhn_folders(entries) == ["y"]
    assert "data_batch_5.png" in arrays.file_names("cifar")
