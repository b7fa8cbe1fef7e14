"""What a task hears of a stop. From the driver: tests/integration/test_cluster.py."""

import signal
from types import SimpleNamespace

import pytest
import ray

from pipeline.cluster.stopping import Listener, asked_to_stop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_interrupts_nothing(number: int) -> None:
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    with asked_to_stop() as stop:
        assert not stop()
        signal.raise_signal(number)
        assert stop()
    assert {n: signal.getsignal(n) for n in before} == before


@pytest.mark.parametrize("ends", ["rings", "dies"])
def test_a_bell_that_dies_has_not_rung(ends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its node is gone, say; what it was for goes on. It is asked again, since it may have been out
    of reach for a moment."""
    asked: list[object] = []

    def get(answer: object) -> None:
        asked.append(answer)
        if ends == "dies" and len(asked) == 1:
            raise ray.exceptions.ActorDiedError

    bell = SimpleNamespace(heard=SimpleNamespace(remote=lambda: "answer"))
    monkeypatch.setattr(ray, "wait", lambda answers, timeout: (answers, []))
    monkeypatch.setattr(ray, "get", get)
    listener = Listener(bell)
    assert listener() is (ends == "rings")
    listener._asked = 0.0
    assert listener()
    assert len(asked) == (1 if ends == "rings" else 2)
