"""Reading ahead: the same items, one made while another is in use, errors in their place."""

import threading
from collections.abc import Iterator

import pytest

from pipeline.data.ahead import ahead


def test_items_come_as_they_are_made() -> None:
    assert list(ahead(iter(range(5)))) == list(range(5))
    assert list(ahead(iter([]))) == []
    assert list(ahead(iter([None, None]))) == [None, None]


def test_the_next_item_and_no_more_is_made_while_one_is_in_use() -> None:
    made = [threading.Event() for _ in range(4)]

    def items() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    stream = ahead(items())
    assert not made[0].is_set(), "nothing before it is asked for"
    assert next(stream) == 0
    assert made[1].wait(60)
    assert not made[2].wait(0.05)


def test_an_error_comes_in_the_place_of_its_item() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("cut")

    stream = ahead(items())
    assert next(stream) == 1
    with pytest.raises(OSError, match="cut"):
        next(stream)
    assert list(stream) == []
