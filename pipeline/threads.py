"""On how many threads the numerics of this process run."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Inside it, torch runs on so many threads, on which the last bits of its sums depend."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_at_once: ContextVar[int] = ContextVar("_at_once", default=0)


def at_once() -> int:
    """How many pieces of work `side_by_side` does at once here."""
    import torch

    return _at_once.get() or torch.get_num_threads()


@contextmanager
def on_threads_each(count: int) -> Iterator[None]:
    """`on_threads(count)`, where `side_by_side` goes on doing as much at once as before."""
    token = _at_once.set(at_once())
    try:
        with on_threads(count):
            yield
    finally:
        _at_once.reset(token)


def side_by_side(work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """What `work` gives for each of the items, in their order.

    Each is done on one thread, as many at once as torch has threads here: so they decide how soon
    it is done, and no bit of it.
    """
    import torch

    with ThreadPoolExecutor(at_once(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        before = torch.get_num_threads()
        try:
            yield from pool.map(work, items)
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(before)  # a new thread starts with what was set last, anywhere
