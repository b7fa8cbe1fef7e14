"""Labels in tables, shards and arrays."""

import pytest

from pipeline.data.survey import labels
from pipeline.errors import UserError


class Choices:
    splits = None

    def __init__(self, *classes: str) -> None:
        self.classes = list(classes) or None


def test_hidden_labels() -> None:
    assert all(map(labels.is_hidden_label, (None, "", -1)))
    assert not any(map(labels.is_hidden_label, (0, "a", "-1", False)))


def test_names_and_numbers() -> None:
    assert labels.kinds_of_labels("x", [{0: 1}, {1: 1}]) == (set(), {0, 1})
    assert labels.by_name("x", {"b", "a"}, Choices()) == (("a", "b"), {"a": 0, "b": 1})
    assert labels.by_name("x", {"b", "a"}, Choices("b", "a"))[1] == {"a": 1, "b": 0}
    assert labels.by_number("x", [0, 2], Choices()) == ("0", "1", "2")


def test_names_that_the_source_gives_to_its_numbers() -> None:
    assert labels.by_given("x", ["b", "a"], Choices()) == (("b", "a"), None)
    assert labels.by_given("x", ["b", "a"], Choices("b", "a")) == (("b", "a"), None)
    assert labels.by_given("x", ["b", "a"], Choices("a", "b")) == (("a", "b"), {0: 1, 1: 0})
    with pytest.raises(UserError, match=r"data\.classes names a, c, and the labels are b, a"):
        labels.by_given("x", ["b", "a"], Choices("a", "c"))


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({0: 1, "a": 1}, "label 0 beside"),
        ({-2: 1}, "label -2"),
        ({1.5: 1}, "label 1.5; it must be"),
    ],
)
def test_what_is_no_label(found, message) -> None:
    with pytest.raises(UserError, match=message):
        labels.kinds_of_labels("x", [found])


def test_chosen_names_must_be_all() -> None:
    with pytest.raises(UserError, match="they must be the same"):
        labels.by_name("x", {"a", "b"}, Choices("a", "c"))
