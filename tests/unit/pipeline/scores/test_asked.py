"""Which class is asked of each sample."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scores.asked import asked, some_classes


@pytest.mark.parametrize("each", [1, 6000])
def test_equally_frequent_classes_come_in_turn(each: int) -> None:
    assert asked([each] * 10, 0, 10_000).tolist() == [k % 10 for k in range(10_000)]


def test_unequal_ones_are_spread_as_the_data_has_them() -> None:
    assert asked([3, 1, 0], 0, 8).tolist() == [0, 0, 1, 0, 0, 0, 1, 0]


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=200).filter(any),
    st.integers(0, 500),
    st.integers(0, 500),
)
def test_every_stretch_is_of_one_sequence_near_the_frequencies(
    counts: list[int], start: int, length: int
) -> None:
    stop = start + length
    whole = asked(counts, 0, 1000)
    assert len(whole) == 1000
    assert asked(counts, start, stop).tolist() == whole[start:stop].tolist()
    shares = np.array(counts) / sum(counts)
    off = np.bincount(whole, minlength=len(counts)) - 1000 * shares
    # A class rounds to half a sample of where the sequence stands, which is off by all that rounds.
    assert np.all(np.abs(off) <= 1 + len(counts) * shares / 2)


def test_all_classes_or_some_from_the_first_to_the_last() -> None:
    assert some_classes(10, 10).tolist() == list(range(10))
    assert some_classes(10, 4).tolist() == [0, 3, 6, 9]
    many = some_classes(1000, 256)
    assert len(set(many.tolist())) == 256 and (many[0], many[-1]) == (0, 999)
