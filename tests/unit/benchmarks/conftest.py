"""A project that a benchmark opens, of which it sees the levels' settings alone."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def of_levels(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType, Mapping[int, Any]], None]:
    """`of_levels(benchmark, levels)`: what that benchmark opens from now on has these levels."""

    def make(benchmark: ModuleType, levels: Mapping[int, Any]) -> None:
        @contextmanager
        def opened(_: str) -> Iterator[SimpleNamespace]:
            yield SimpleNamespace(params=SimpleNamespace(levels=levels))

        monkeypatch.setattr(benchmark, "opened", opened)
        monkeypatch.setattr(benchmark.torch, "set_num_threads", lambda _: None)

    return make
