"""Learning rates over training, and how many G steps follow a D step."""

import math

import pytest

from sgan.training.schedule import generator_steps, lr_factor, one_cycle

AUTHORS = ((0.65, 1), (0.5, 3), (0.3, 5), (0.0, 7))


@pytest.mark.parametrize(
    ("loss", "steps"),
    [(0.7, 1), (0.6501, 1), (0.65, 3), (0.51, 3), (0.5, 5), (0.31, 5), (0.3, 7), (0.01, 7), (0, 7)],
)
def test_the_stronger_d_is_the_more_steps_g_takes(loss: float, steps: int) -> None:
    assert generator_steps(AUTHORS, loss) == steps


@pytest.mark.parametrize("loss", [-1.0, 0.0, 0.2, 5.0])
def test_one_pair_is_a_fixed_number(loss: float) -> None:
    assert generator_steps(((0.0, 2),), loss) == 2


@pytest.mark.parametrize(
    ("schedule", "at"),
    [
        ("constant", {0.0: 1.0, 0.5: 1.0, 1.0: 1.0}),
        ("linear", {0.0: 1.0, 0.25: 0.75, 1.0: 0.0}),
        ("cosine", {0.0: 1.0, 0.25: (1 + math.sqrt(0.5)) / 2, 0.5: 0.5, 1.0: 0.0}),
    ],
)
def test_schedules_by_hand(schedule: str, at: dict[float, float]) -> None:
    for progress, factor in at.items():
        assert lr_factor(schedule, progress) == pytest.approx(factor, abs=1e-12)


def test_one_cycle_rises_to_its_peak_and_falls_to_zero() -> None:
    assert one_cycle(0.0) == pytest.approx(0.04)
    assert one_cycle(0.125) == pytest.approx(0.52)
    assert one_cycle(0.25) == 1.0
    assert one_cycle(0.625) == pytest.approx(0.5)
    assert one_cycle(1.0) == pytest.approx(0.0, abs=1e-12)
    assert one_cycle(0.25 - 1e-9) == pytest.approx(1.0, abs=1e-6)
