"""The loop: how far it runs, what it reports and saves, and how it stops."""

import math

import pytest
import torch
from torch import Tensor

from sgan.training.batch import Batch
from sgan.training.loop import Hooks, TrainingStopped, fit, total_steps
from sgan.training.terms import NonFiniteLoss


class Counter:
    """A task whose whole state is how often it stepped and on which batches."""

    def __init__(self, total_images: int, batch_size: int = 10, bad_step: int = -1) -> None:
        self.total_images, self.batch_size, self.bad_step = total_images, batch_size, bad_step
        self.seen: list[tuple[int, int]] = []

    def step(self, index: int, batch: Batch) -> dict[str, Tensor]:
        if index == self.bad_step:
            raise NonFiniteLoss("level1/loss_d_adv", math.nan)
        self.seen.append((index, int(batch.y[0])))
        return {"level0/loss_d": torch.tensor(float(index)), "level0/loss_g": torch.tensor(2)}

    def state_dict(self) -> dict[str, int]:
        return {"steps": len(self.seen)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.seen = [(-1, -1)] * state["steps"]


def batches(index: int) -> Batch:
    return Batch({}, torch.tensor([100 + index]))


@pytest.mark.parametrize(("images", "steps"), [(40, 4), (41, 5), (9, 1)])
def test_steps_are_images_over_batch_size_rounded_up(images: int, steps: int) -> None:
    task = Counter(images)
    assert total_steps(task) == steps
    fit(task, batches, Hooks())
    assert task.seen == [(i, 100 + i) for i in range(steps)]


def test_training_goes_on_from_the_step_it_is_told() -> None:
    task = Counter(50)
    metrics = fit(task, batches, Hooks(), start=3)
    assert task.seen == [(3, 103), (4, 104)]
    assert metrics == {"level0/loss_d": 4.0, "level0/loss_g": 2.0}


def test_reports_come_every_so_many_steps_and_at_the_end_in_images_seen() -> None:
    reports: list[tuple[int, float]] = []
    hooks = Hooks(report=lambda n, m: reports.append((n, m["level0/loss_d"])), report_every=3)
    fit(Counter(75), batches, hooks)
    assert reports == [(30, 2.0), (60, 5.0), (75, 7.0)]


def test_states_are_saved_when_due_but_not_after_the_last_step() -> None:
    saved: list[tuple[int, dict]] = []
    hooks = Hooks(save=lambda step, state: saved.append((step, dict(state))), save_seconds=0.0)
    fit(Counter(40), batches, hooks)
    assert saved == [(1, {"steps": 1}), (2, {"steps": 2}), (3, {"steps": 3})]


def test_nothing_is_saved_before_it_is_due() -> None:
    saved: list[int] = []
    fit(Counter(40), batches, Hooks(save=lambda step, state: saved.append(step)))
    assert saved == []


def test_a_stop_saves_first_and_says_where() -> None:
    task, saved = Counter(100), []
    hooks = Hooks(
        save=lambda step, state: saved.append((step, state["steps"])),
        should_stop=lambda: len(task.seen) == 4,
    )
    with pytest.raises(TrainingStopped, match="stopped at step 4 of 10, as asked"):
        fit(task, batches, hooks)
    assert saved == [(4, 4)]


def test_a_stop_at_the_last_step_is_no_stop() -> None:
    task = Counter(20)
    fit(task, batches, Hooks(should_stop=lambda: len(task.seen) == 2))
    assert len(task.seen) == 2


def test_a_non_finite_loss_names_step_level_and_last_checkpoint() -> None:
    task, saved = Counter(100, bad_step=6), []

    def save(step: int, state: object) -> None:
        saved.append(step)

    hooks = Hooks(save=save, save_seconds=0.0, should_stop=lambda: False)
    with pytest.raises(TrainingStopped) as caught:
        fit(task, batches, hooks)
    message = str(caught.value)
    assert message.startswith("step 6: level1/loss_d_adv is nan")
    assert "last finite checkpoint is of step 6" in message
    assert "lr_g, lr_d" in message
    assert saved == [1, 2, 3, 4, 5, 6]
    assert isinstance(caught.value.__cause__, NonFiniteLoss)


def test_without_a_checkpoint_since_the_start_the_start_is_named() -> None:
    with pytest.raises(TrainingStopped, match="checkpoint is of step 2"):
        fit(Counter(100, bad_step=5), batches, Hooks(), start=2)


def test_before_the_first_checkpoint_none_is_named() -> None:
    with pytest.raises(TrainingStopped, match=r"nothing was stepped\. No checkpoint was saved\."):
        fit(Counter(100, bad_step=5), batches, Hooks())


def break_gradient_at(task, step: int) -> None:
    """From `step` on, a finite loss of G's first layer has gradients that are not finite."""
    weight = next(task.stack.level(1).generator.parameters())
    steps = iter(range(100))
    stepped = task.step

    def counted(index: int, batch: Batch) -> dict[str, Tensor]:
        if next(steps) == step:
            weight.register_hook(lambda gradient: gradient * math.inf)
        return stepped(index, batch)

    task.step = counted


def test_weights_broken_by_their_gradients_are_not_saved(make_task) -> None:
    task, data = make_task(active=[1], total_images=60)
    break_gradient_at(task, 3)
    saved: list[int] = []
    hooks = Hooks(save=lambda step, state: saved.append(step), save_seconds=0.0)
    with pytest.raises(TrainingStopped, match=r"^step 3: levels\.1\.generator.* of step 3\."):
        fit(task, data, hooks)
    assert saved == [1, 2, 3]


def test_weights_broken_in_the_last_step_are_no_result(make_task) -> None:
    task, data = make_task(active=[1], total_images=60)
    break_gradient_at(task, total_steps(task) - 1)
    with pytest.raises(TrainingStopped, match=r"generator.* is not finite after it\. No"):
        fit(task, data, Hooks())


def test_a_real_task_whose_data_break_stops_with_its_weights_sound(make_task) -> None:
    task, data = make_task(active=[1], total_images=60)
    saved: list[int] = []

    def overflowing(index: int) -> Batch:
        batch = data(index)
        if index == 4:
            batch.hidden[1] = batch.hidden[1] * 1e38 * 1e38
        return batch

    hooks = Hooks(save=lambda step, state: saved.append(step), save_seconds=0.0)
    with pytest.raises(TrainingStopped, match=r"^step 4: level1/loss_d_adv is nan.* of step 4\."):
        fit(task, overflowing, hooks)
    assert saved == [1, 2, 3, 4]
    assert all(torch.isfinite(p).all() for p in task.stack.level(1).parameters())
