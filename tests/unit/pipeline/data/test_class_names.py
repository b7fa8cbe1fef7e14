"""A class by name or number: the very name goes first, and what may be several is told."""

import pytest

from pipeline.data.class_names import class_of
from pipeline.errors import UserError


@pytest.mark.parametrize(
    ("text", "classes", "label"),
    [
        ("cat", ("Cat", "cat", "dog"), 1),
        ("Cat", ("Cat", "cat", "dog"), 0),
        ("DOG", ("Cat", "cat", "dog"), 2),
        ("1", ("1", "10", "2"), 0),
        ("10", ("1", "10", "2"), 1),
        ("0", ("1", "10", "2"), 0),
        ("cafe\u0301", ("caf\u00e9", "tea"), 0),
        ("STRASSE", ("straße", "weg"), 0),
        ("3", ("cat", "dog"), None),
        ("²", ("cat", "dog", "eel"), None),
        ("", ("cat", "dog"), None),
        ("9" * 5000, ("cat", "dog"), None),
    ],
)
def test_a_class_by_name_or_number(text: str, classes: tuple[str, ...], label: int | None) -> None:
    assert class_of(text, classes) == label


def test_what_may_be_several_is_told() -> None:
    with pytest.raises(UserError, match="CAT: may be Cat, cat; write it as one of them"):
        class_of("CAT", ("Cat", "cat", "dog"))
