"""Threads of the numerics: set for a block, and put back whatever happens in it."""

import threading

import pytest
import torch

from pipeline.threads import at_once, on_threads, on_threads_each, side_by_side


def test_a_block_has_its_threads() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ValueError), on_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise ValueError
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("threads", [1, 3])
def test_items_side_by_side_have_a_thread_each_and_their_order(threads: int) -> None:
    meet, before = threading.Barrier(threads), torch.get_num_threads()

    def work(item: int) -> tuple[int, int]:
        meet.wait(60)  # as many are at it at once
        return item, torch.get_num_threads()

    with on_threads(threads):
        found = list(side_by_side(work, range(6)))
        assert torch.get_num_threads() == threads
    assert found == [(item, 1) for item in range(6)]
    seen = []
    other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert seen == [before]  # what a new thread starts with is as it was, too


def test_an_item_that_fails_ends_it() -> None:
    def work(item: int) -> int:
        if item == 1:
            raise ValueError("one")
        return item

    with pytest.raises(ValueError, match="one"):
        list(side_by_side(work, range(100)))


def test_threads_of_each_leave_as_much_going_on_at_once() -> None:
    with on_threads(3):
        with on_threads_each(1):
            assert (torch.get_num_threads(), at_once()) == (1, 3)
            with on_threads_each(2):
                assert (torch.get_num_threads(), at_once()) == (2, 3)
        assert at_once() == 3
