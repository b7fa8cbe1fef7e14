"""A training of some seconds ends with them, and its schedules know where it will end."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks.npz import pace
from benchmarks.npz.pace import Pace, Plan
from sgan.training.loop import Hooks, fit


class Clock:
    """A monotonic clock that stands still until it is told."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def task(total_images: int = 1000) -> Any:
    return SimpleNamespace(batch_size=10, total_images=total_images)


def ends(clock: Clock, paced: Pace, seconds_a_step: float) -> list[int]:
    """`total_images` after each step, until it is reached."""
    found = []
    while paced.images < paced.task.total_images:
        clock.now += seconds_a_step
        paced.step()
        found.append(paced.task.total_images)
    return found


def test_it_ends_when_its_seconds_are_spent(clock: Clock) -> None:
    paced = Pace(task(), 5.0)
    assert ends(clock, paced, 1.0) == [50] * 5
    assert paced.spent == 5.0


def test_it_sees_no_more_images_than_were_asked_for(clock: Clock) -> None:
    assert ends(clock, Pace(task(40), 100.0), 1.0) == [40] * 4


def test_without_seconds_only_images_count(clock: Clock) -> None:
    assert ends(clock, Pace(task(40), None), 1e6) == [40] * 4


def test_what_slows_down_ends_earlier(clock: Clock) -> None:
    paced = Pace(task(), 10.0)
    clock.now += 1
    paced.step()
    assert paced.task.total_images == 100
    clock.now += 4
    paced.step()
    assert paced.task.total_images == 40


def test_it_goes_on_with_the_seconds_that_are_left(clock: Clock) -> None:
    paced = Pace(task(), 10.0, images=50, spent=5.0)
    assert paced.task.total_images == 100  # before its first step too
    assert len(ends(clock, paced, 1.0)) == 5
    late = Pace(task(), 10.0, images=50, spent=11.0)
    assert late.task.total_images == 50  # nothing is left to do but to finish


def test_the_loop_ends_with_it(clock: Clock) -> None:
    class Stepped:
        batch_size, total_images, seed, hidden_needed = 10, 10_000, 0, ()

        def step(self, index: int, batch: Any) -> dict[str, Any]:
            clock.now += 1
            return {"loss": torch.zeros(())}

        def state_dict(self) -> dict[str, Any]:
            return {}

    stepped: Any = Stepped()
    paced = Pace(stepped, 7.0)
    seen: list[int] = []

    def stop() -> bool:
        paced.step()
        seen.append(paced.images)
        return False

    fit(stepped, lambda index: None, Hooks(should_stop=stop, report_every=100))  # type: ignore[arg-type,return-value]
    assert seen == [10, 20, 30, 40, 50, 60, 70] and stepped.total_images == 70


def test_the_seconds_of_a_plan() -> None:
    plan = Plan(100.0)
    assert plan.of_encoder() == 10 and plan.of_levels(10) == 50 and plan.of_joint(10, 50) == 40
    assert plan.of_levels(4) == 56  # what E did not need
    assert plan.of_joint(10, 95) == 0
