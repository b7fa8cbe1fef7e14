"""What goes into a measurement: identities, sets that fit, drawn rows."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.scores.inputs import RealImages, Samples, check_sets, drawn

ONE = Samples(np.zeros((4, 8, 8, 1), np.uint8), np.zeros(4, np.int64), 1)


def test_identity_tells_cut_splits_apart(real: RealImages) -> None:
    cut = replace(real, test_images=real.test_images[:10], test_labels=real.test_labels[:10])
    assert real.identity == "mnist-small:2000:500" and cut.identity != real.identity


def test_classes_are_as_frequent_as_in_training() -> None:
    labels = np.array([2, 0, 2])
    images = np.zeros((3, 8, 8, 1), np.uint8)
    real = RealImages(images, labels, images, np.zeros(3, np.int64), ("a", "b", "c", "d"), "")
    assert real.frequencies == [1, 0, 2, 0]


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ([], "equal size"),
        ([ONE, replace(ONE, images=ONE.images[:2], labels=ONE.labels[:2])], "equal size"),  # type: ignore[index]
        ([ONE, replace(ONE, labels=None)], "some sample sets have labels"),
        ([replace(ONE, labels=ONE.labels[:3])], "4 images and 3 labels"),  # type: ignore[index]
    ],
)
def test_sets_that_do_not_fit(sets: list[Samples], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_sets(sets)
    check_sets([ONE, ONE])


def test_rows_are_drawn_without_repetition_and_by_seed() -> None:
    rows = drawn(100, 30, 5)
    assert len(set(rows.tolist())) == 30 and rows.max() < 100
    np.testing.assert_array_equal(drawn(100, 30, 5), rows)
    assert set(drawn(100, 30, 6)) != set(rows)
    assert sorted(drawn(10, 30, 5)) == list(range(10))  # all there are
