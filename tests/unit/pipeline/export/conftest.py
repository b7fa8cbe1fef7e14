"""One thread, and blocks that are quick to draw."""

from collections.abc import Iterator

import pytest

from pipeline.cluster.errand import on_threads
from pipeline.export import samples


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Two that share a core with another test process wait for each other."""
    with on_threads(1):
        yield


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 samples go through the stack at once, and not 500."""
    monkeypatch.setattr(samples, "BLOCK", 20)
