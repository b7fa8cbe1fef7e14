"""The clock of `time_to_quality`: marks, and schedules that end when the time does."""

import pickle
from collections.abc import Callable

import pytest
import torch

from benchmarks import contenders
from benchmarks.contenders import CONTENDERS, Diverged, clocked, default_params, fit
from benchmarks.dcgan import DCGAN
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack
from sgan.training.adversarial import AdversarialTask
from sgan.training.batch import Batch


class Clock:
    """In place of the module `time`: it goes on where a test says so."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(contenders, "time", made)
    return made


def test_the_clock_runs_in_steps_only_and_stops_at_each_mark(clock: Clock) -> None:
    seen: list[tuple[int, float]] = []

    def step(index: int, progress: float) -> None:
        seen.append((index, progress))
        clock.now += 0.012

    found = []
    for spent, steps in clocked(step, [0.05, 0.1]):
        found.append((spent, steps, len(seen)))
        clock.now += 0.2  # scoring, say
    (first, at_first, _), (last, at_last, in_all) = found
    assert 0.05 <= first < 0.1 <= last < 0.2
    assert 0 < at_first < at_last == in_all
    assert [index for index, _ in seen] == list(range(at_last))
    assert seen[0][1] == 0.0 and seen[-1][1] < 1.0


def test_no_time_is_no_step() -> None:
    assert list(clocked(lambda index, progress: None, [0.0])) == [(0.0, 0)]


def test_images_that_are_enough_end_it_before_the_time(clock: Clock) -> None:
    task, made = training(clock)
    spent, images = fit(task, made, 0.5, most=40)
    assert images == 40 and spent == pytest.approx(10 * 0.012)
    assert task.total_images == 40
    (group,) = task.optimizers["level1/g"].param_groups
    assert 0 < group["lr"] < 0.5e-3


def test_a_learning_rate_that_falls_is_nearly_0_when_the_time_is_up(clock: Clock) -> None:
    task, made = training(clock)
    spent, images = fit(task, made, 0.5)
    assert 0.5 <= spent < 5 and images >= 8
    (group,) = task.optimizers["level1/g"].param_groups
    assert 0 < group["lr"] < 0.5e-3
    assert task.total_images == images < 10**9


def training(clock: Clock) -> tuple[AdversarialTask, Callable[[int], Batch]]:
    """A level 1 whose rates fall, and its batches, each of which takes 12 ms."""
    level = LevelConfig(batch_size=4, lr_schedule="linear", lr_g=1e-3, total_images=10**9)
    image = ImageConfig(1, 28, 28, 10)
    stack = Stack(StackConfig(image, EncoderConfig(), (level, level)), (1,))
    task = AdversarialTask(stack, stack.level_configs())
    batch = Batch({1: torch.rand(4, 256)}, torch.arange(4))

    def made(_: int) -> Batch:
        clock.now += 0.012
        return batch

    return task, made


def test_a_loss_that_is_not_finite_ends_a_training_in_words_that_another_process_can_tell() -> None:
    gan = DCGAN(ImageConfig(1, 28, 28, 10), 1)
    real = torch.full((4, 1, 28, 28), float("nan"))
    with pytest.raises(Diverged, match="step 0: the DCGAN's loss is nan") as caught:
        list(clocked(lambda index, _: gan.step(real, torch.arange(4)), [1.0]))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_what_is_trained_is_what_the_project_composes() -> None:
    assert set(CONTENDERS) == {"stack", "authors", "one-gan", "dcgan"}
    ours = default_params()
    assert ours.joint.enabled and ours.encoder.cut == ("fc",)
    one = default_params("ablation=dcgan_adv_cond_ent")
    assert one.encoder.cut == () and len(one.levels) == 1
    assert one.levels[0].lambda_cond > 0 and one.levels[0].lambda_ent > 0
