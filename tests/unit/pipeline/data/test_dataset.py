"""The decoded data set: its digests, and arrays that it does not take."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from pipeline.data.dataset import (
    Dataset,
    Provenance,
    array_sha256,
    check_images,
    check_labels,
    data_digest,
)
from pipeline.errors import UserError


def dataset(**changes: object) -> Dataset:
    def images(count: int) -> np.ndarray:
        return np.arange(count * 12, dtype=np.uint8).reshape(count, 2, 2, 3)

    plain = Dataset(images(4), np.array([0, 1, 2, 1]), images(2), np.array([2, 0]), ("a", "b", "c"))
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_the_digest_of_an_array_is_that_of_its_bytes_in_c_order() -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert array_sha256(array) == hashlib.sha256(bytes(range(6))).hexdigest()
    assert array_sha256(array.T) == hashlib.sha256(bytes([0, 3, 1, 4, 2, 5])).hexdigest()


def test_labels_are_pinned_as_one_byte_each_while_a_byte_is_enough() -> None:
    labels = np.array([0, 1, 2, 1])
    assert dataset().digests["train_labels"] == hashlib.sha256(bytes([0, 1, 2, 1])).hexdigest()
    many = dataset(classes=tuple(map(str, range(257))))
    assert many.digests["train_labels"] == array_sha256(labels.astype(np.int64))


@pytest.mark.parametrize(
    "changes",
    [
        {"train_images": np.zeros((4, 2, 2, 3), np.uint8)},
        {"train_labels": np.array([0, 1, 2, 2])},
        {"test_labels": np.array([2, 1])},
        {"classes": ("a", "b", "d")},
        {"train_images": dataset().train_images[::-1]},
        {"train_images": dataset().train_images.reshape(4, 1, 4, 3)},  # the same bytes
    ],
)
def test_the_digest_of_the_data_sees_every_change(changes: dict[str, np.ndarray]) -> None:
    assert data_digest(dataset(**changes)) != data_digest(dataset())


def test_the_digest_of_the_data_does_not_see_what_is_no_data() -> None:
    assert data_digest(dataset(skipped=7)) == data_digest(dataset())
    same = dataset(train_labels=np.array([0, 1, 2, 1], np.int32))
    assert data_digest(same) == data_digest(dataset())


def test_splits_by_name() -> None:
    images, labels = dataset().split("test")
    assert images.shape == (2, 2, 2, 3) and labels.tolist() == [2, 0]


def test_provenance_is_plain_json() -> None:
    plain = Provenance("x", "here", "npz", {"a": "1"}, True, ("there: away",)).as_dict()
    assert plain["failed"] == ["there: away"]
    assert plain["pinned"] is True


def test_grey_images_gain_a_channel_and_nothing_is_copied() -> None:
    images = np.zeros((2, 3, 4), np.uint8)
    found = check_images(images, "x")
    assert found.shape == (2, 3, 4, 1)
    assert np.shares_memory(found, images)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 3, 3), np.float32), r"x\.npz: images have dtype float32; only uint8"),
        (np.zeros((2, 3, 32, 32), np.uint8), r"shape \[2, 3, 32, 32\].*transpose\(0, 2, 3, 1\)"),
        (np.zeros((2, 3), np.uint8), r"shape \[2, 3\]; allowed are"),
        (np.zeros((2, 0, 3), np.uint8), r"shape \[2, 0, 3, 1\]"),
    ],
)
def test_images_that_cannot_be_used(images: np.ndarray, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_images(images, "x.npz")


@pytest.mark.parametrize("labels", [np.array([[1], [0]], np.uint8), np.array([1, 0], np.int32)])
def test_labels_become_int64_in_one_dimension(labels: np.ndarray) -> None:
    found = check_labels(labels, 2, "x")
    assert found.dtype == np.int64 and found.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0.0, 1.0]), r"dtype float64 and shape \[2\]"),
        (np.array([True, False]), r"dtype bool"),
        (np.zeros((2, 10), np.int64), r"shape \[2, 10\]; they must be integers"),
        (np.array([0, 1, 2]), r"2 images but 3 labels"),
        (np.array([0, -3]), r"label -3 at row 1; labels count from 0"),
    ],
)
def test_labels_that_cannot_be_used(labels: np.ndarray, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_labels(labels, 2, "x.npz")


def test_no_images_have_no_labels_and_that_is_fine() -> None:
    assert check_labels(np.zeros(0, np.int64), 0, "x").shape == (0,)
