"""A clock that tests of progress and of reports set themselves."""

import pytest

from pipeline.parts import progress, sink


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Takes the place of `time` in progress and sink."""
    clock = Clock()
    for module in (progress, sink):
        monkeypatch.setattr(module, "time", clock)
    return clock
