"""What a task hears of a stop. From the driver: tests/integration/test_cluster.py."""

import signal

import pytest

from pipeline.cluster.stopping import asked_to_stop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_interrupts_nothing(number: int) -> None:
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    with asked_to_stop() as stop:
        assert not stop()
        signal.raise_signal(number)
        assert stop()
    assert {n: signal.getsignal(n) for n in before} == before
