"""On how many threads the numerics of this process run."""

from collections.abc import Iterator
from contextlib import contextmanager


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
