"""A queued step is the task's own, to the bit; what is not finite steps nothing, and is told."""

import copy
from typing import Any

import pytest
import torch

from sgan.training.adversarial import AdversarialTask
from sgan.training.batch import Batch
from sgan.training.loop import Hooks, TrainingStopped, train
from sgan.training.queued import QueuedTask, warm_up
from sgan.training.terms import NonFiniteLoss

ADAPTIVE = ((0.69, 1), (0.6, 3), (0.0, 2))


def pair(make_task: Any, **changes: Any) -> tuple[AdversarialTask, QueuedTask, Any]:
    """Two tasks of the same weights, one of them queued, and their batches."""
    plain, batches = make_task("mnist", ("fc",), **changes)
    other, _ = make_task("mnist", ("fc",), **changes)
    return plain, QueuedTask(other), batches


def assert_same(first: Any, second: Any) -> None:
    flat, other = (dict(_tensors(each)) for each in (first, second))
    assert flat.keys() == other.keys() and flat
    for name, value in flat.items():
        assert torch.equal(value, other[name]), name


def _tensors(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _tensors(inner, f"{name}.{key}")
    elif isinstance(value, torch.Tensor):
        yield name, value


@pytest.mark.parametrize(
    ("joint", "g_steps", "reuse_fakes"),
    [
        (False, ((0.0, 2),), True),
        (False, ADAPTIVE, False),
        (True, ADAPTIVE, True),
        (True, ((0.0, 1),), False),
    ],
)
def test_a_queued_step_is_the_tasks_own_to_the_bit(
    joint: bool, g_steps: Any, reuse_fakes: bool, make_task: Any
) -> None:
    fields = {"g_steps": g_steps, "reuse_fakes": reuse_fakes, "ema_half_life_images": 50}
    plain, queued, batches = pair(make_task, joint=joint, lower_weight=0.1, **fields)
    for index in range(3):
        assert_same(plain.step(index, batches(index)), queued.step(index, batches(index)))
    assert_same(plain.state_dict(), queued.state_dict())


def test_the_loop_trains_it_and_it_goes_on_from_a_checkpoint(make_task: Any) -> None:
    plain, queued, batches = pair(make_task, g_steps=ADAPTIVE, ema_half_life_images=50)
    for task in (plain, queued):
        task.total_images = 5 * task.batch_size
    train(plain, batches)
    kept: list[Any] = []
    stop = iter([False, True, *50 * [False]])
    hooks = Hooks(
        save=lambda step, state: kept.append((step, copy.deepcopy(state))),
        should_stop=lambda: next(stop),
    )
    with pytest.raises(TrainingStopped, match="as asked"):
        train(queued, batches, hooks)
    ((step, state),) = kept
    _, again, _ = pair(make_task, g_steps=ADAPTIVE, ema_half_life_images=50)
    again.load_state_dict(state)
    again.total_images = plain.total_images
    train(again, batches, start=step)
    assert_same(plain.state_dict(), again.state_dict())


def spoilt(batch: Batch) -> Batch:
    """Real h that are not finite, so that D's loss is none either."""
    return Batch({i: h.float() * float("nan") for i, h in batch.hidden.items()}, batch.y)


def test_a_loss_that_is_not_finite_steps_nothing_and_is_told_at_the_next_look(
    make_task: Any,
) -> None:
    _, queued, batches = pair(make_task, joint=True)
    queued.check_every = 3
    queued.step(0, batches(0))
    nets = [queued.task.stack.level(i).discriminator for i in (0, 1)]
    before = [copy.deepcopy(dict(net.named_parameters())) for net in nets]
    queued.step(1, spoilt(batches(1)))
    for net, own in zip(nets, before, strict=True):
        assert_same(own, dict(net.named_parameters()))
    with pytest.raises(NonFiniteLoss, match=r"^loss_d in the last 3 steps is nan"):
        queued.step(2, batches(2))
    queued.step(3, batches(3))  # told once
    queued.step(4, spoilt(batches(4)))
    with pytest.raises(NonFiniteLoss):
        queued.state_dict()  # which nobody would want to go on from


def test_training_ends_in_its_line(make_task: Any) -> None:
    _, queued, batches = pair(make_task)
    queued.total_images = 3 * queued.batch_size
    with pytest.raises(TrainingStopped, match="so nothing was stepped with it"):
        train(queued, lambda index: spoilt(batches(index)) if index == 1 else batches(index))


@pytest.mark.parametrize("before", [0, 2])
def test_warming_up_changes_nothing_but_that_optimizers_have_their_state(
    before: int, make_task: Any
) -> None:
    task, batches = make_task("mnist", ("fc",), ema_half_life_images=50)
    other, _ = make_task("mnist", ("fc",), ema_half_life_images=50)
    for index in range(before):
        task.step(index, batches(index))
        other.step(index, batches(index))
    warm_up(task, batches(7))
    for optimizer in task.optimizers.values():
        assert len(optimizer.state) == len(optimizer.param_groups[0]["params"])
        assert all(int(own["step"]) == before for own in optimizer.state.values())
        assert all(p.grad is None for p in optimizer.param_groups[0]["params"])
    assert_same(task.step(before, batches(before)), other.step(before, batches(before)))
    assert_same(task.state_dict(), other.state_dict())


def test_what_it_cannot_do(make_task: Any) -> None:
    task, _ = make_task("mnist", ("fc",))
    with pytest.raises(ValueError, match="graphs = True: the device is cpu; allowed: cuda"):
        QueuedTask(task, graphs=True)
    task.comm.world_size = 2
    with pytest.raises(ValueError, match="a task of 2 workers"):
        QueuedTask(task)
