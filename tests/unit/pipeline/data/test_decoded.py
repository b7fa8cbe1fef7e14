"""Classes of a source, and the test split that is cut where there is none."""

import numpy as np
import pytest

from pipeline.data.decoded import (
    Decoded,
    class_names,
    cut_test,
    mixed_order,
    without_lone_images,
)
from pipeline.errors import UserError


def part(*labels: int) -> tuple[np.ndarray, np.ndarray]:
    """An image for each label; the first pixel says which row it was."""
    images = np.zeros((len(labels), 2, 2, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(len(labels))
    return images, np.array(labels, np.int64)


def rows(found: tuple[np.ndarray, np.ndarray]) -> list[int]:
    return found[0][:, 0, 0, 0].tolist()


def test_classes_without_names_are_called_by_their_labels() -> None:
    assert class_names(Decoded(part(0, 2, 1), None), "x") == ("0", "1", "2")
    assert class_names(Decoded(part(0, 1), None, ("cat", "dog")), "x") == ("cat", "dog")


@pytest.mark.parametrize(
    ("decoded", "message"),
    [
        (Decoded(part(), None), r"x: no training images found"),
        (Decoded(part(0, 5), None, ("a", "b")), r"train label 5 at row 1 .* 2 classes .* 0 to 1"),
        (Decoded(part(0, 1), part(0, 2)), r"test label 2 at row 1 is out of range"),
        (Decoded(part(0, 3), None), r"class 1, 2 \(2 of 4 classes are empty\)"),
        (Decoded(part(0, 0), None, ("a", "b")), r"no training images for class b"),
        (Decoded(part(0, 0), None), r"only one class \(0\)"),
    ],
)
def test_labels_that_name_no_classes(decoded: Decoded, message: str) -> None:
    with pytest.raises(UserError, match=message):
        class_names(decoded, "x")


def test_a_share_of_each_class_is_held_out_and_the_order_kept() -> None:
    decoded = Decoded(part(*([0] * 20 + [1] * 10 + [0] * 10)), None, None, skipped=3)
    cut = cut_test(decoded, 0.1, ("0", "1"), "x")
    assert cut.test is not None and cut.skipped == 3
    assert np.bincount(cut.test[1]).tolist() == [3, 1]
    assert sorted(rows(cut.train) + rows(cut.test)) == list(range(40))
    for found in (cut.train, cut.test):
        assert rows(found) == sorted(rows(found))


def test_the_choice_is_the_same_every_time() -> None:
    decoded = Decoded(part(*([0, 1] * 50)), None)
    once, again = (cut_test(decoded, 0.2, ("0", "1"), "x") for _ in range(2))
    assert rows(once.test) == rows(again.test)


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_each_class_has_an_image_on_either_side_however_small_the_share(fraction: float) -> None:
    cut = cut_test(Decoded(part(0, 0, 1, 1), None), fraction, ("0", "1"), "x")
    assert np.bincount(cut.train[1]).tolist() == np.bincount(cut.test[1]).tolist() == [1, 1]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5])
def test_a_share_that_leaves_nothing(fraction: float) -> None:
    with pytest.raises(UserError, match=rf"data.test_fraction is {fraction}"):
        cut_test(Decoded(part(0, 0), None), fraction, ("0",), "x")


def test_a_class_of_one_image_cannot_be_cut_but_can_be_left_out() -> None:
    decoded = Decoded(part(0, 1, 2, 2, 0), None, ("a", "lone", "c"), skipped=2)
    with pytest.raises(UserError, match=r"class 'lone' has one image.*on_bad_image: skip"):
        cut_test(decoded, 0.5, ("a", "lone", "c"), "x")
    left, names = without_lone_images(decoded, ("a", "lone", "c"))
    assert names == left.classes == ("a", "c")
    assert left.train[1].tolist() == [0, 1, 1, 0], "labels close the gap"
    assert rows(left.train) == [0, 2, 3, 4]
    assert left.skipped == 3


def test_rows_that_come_class_by_class_get_one_fixed_order():
    labels = np.repeat([0, 1, 2], 40)
    order = mixed_order(labels)
    assert order.tolist() == np.random.default_rng(0).permutation(120).tolist()
    assert mixed_order(labels[order]) is None
    assert mixed_order(np.arange(120) % 3) is None
    assert mixed_order(np.zeros(120, int)) is None
