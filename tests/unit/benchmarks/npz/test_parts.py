"""Levels that end in processes of their own: what becomes of the whole command."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.npz import parts
from benchmarks.npz.data import BadInput
from benchmarks.npz.parts import BAD, DONE, FAILED, TIME
from sgan.training.loop import TrainingStopped


class Ended:
    """A process that ended with some code."""

    def __init__(self, code: int) -> None:
        self.exitcode = code

    def start(self) -> None:
        pass

    def join(self) -> None:
        pass


@pytest.mark.parametrize(
    ("codes", "whole"),
    [
        ((DONE, DONE), DONE),
        ((TIME, DONE), TIME),
        ((TIME, FAILED), FAILED),
        ((BAD, FAILED), BAD),
        ((DONE, -9), FAILED),  # killed
    ],
)
def test_the_worst_end_of_a_level_is_that_of_all(
    codes: tuple[int, ...], whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(codes)
    context = SimpleNamespace(Process=lambda **_: Ended(next(left)))
    monkeypatch.setattr(parts.multiprocessing, "get_context", lambda kind: context)
    training: Any = SimpleNamespace(side_by_side=True, levels=range(2), seconds=lambda name: 0.0)
    nothing: Any = None
    assert parts.train_levels(training, nothing, nothing) == whole


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (TrainingStopped("stopped at step 3 of 9, as asked"), TIME, "time is up: stopped at step"),
        (TrainingStopped("step 3: loss_g is nan"), FAILED, "error: step 3: loss_g is nan"),
        (BadInput("set.npz: no"), BAD, "error: set.npz: no"),
    ],
)
def test_how_a_part_ends_is_a_line_and_a_code(
    error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        raise error

    assert parts.outcome(work, "the same command") == code
    told = capsys.readouterr()
    assert (told.out + told.err).startswith(said) and len((told.out + told.err).splitlines()) == 1
    assert bool(told.err) == (code != TIME)


def test_weights_digest_sees_names_and_values(tmp_path: Path) -> None:
    import torch

    one = {"a": torch.zeros(3)}
    assert parts.weights_digest(one) == parts.weights_digest({"a": torch.zeros(3)})
    others = ({"b": torch.zeros(3)}, {"a": torch.ones(3)})
    assert parts.weights_digest(one) not in {parts.weights_digest(each) for each in others}
