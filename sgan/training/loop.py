"""The training loop: one for every task, resumable at any step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from sgan.training.batch import Batch
from sgan.training.terms import NonFiniteLoss


class Task(Protocol):
    """What the loop trains."""

    batch_size: int
    total_images: int
    seed: int  # fixes the order of the data

    @property
    def hidden_needed(self) -> tuple[int, ...]:
        """The h_i that a Batch must hold."""
        ...

    def to_h0(self, pixels: Tensor) -> Tensor:
        """uint8 [B, C, H, W] -> h_0 float [B, C, H, W]."""
        ...

    def step(self, index: int, batch: Batch) -> dict[str, Tensor]:
        """One training step; scalars by metric key."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on. Raises NonFiniteLoss where a loss was none that
        a step could be taken with, and nobody was told yet."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        ...

    def finish(self, batches: Callable[[int], Batch]) -> None:
        """What is left to do after the last step; `batches` as in training."""
        ...

    def save(self, path: Path, about: Mapping[str, Any]) -> None:
        """The trained weights to a file whose model card says `about` (JSON types)."""
        ...


class TrainingStopped(RuntimeError):
    """Training ended early: asked to stop, or a loss or the trained state was not finite."""


@dataclass
class Hooks:
    """What the loop tells others.

    Attributes:
        report: (images_seen, metrics) after a step; called every `report_every` steps.
        save: (step, state) -> None, every `save_seconds` and when stopped early.
        should_stop: polled after each step.
        report_every: steps between reports: on an accelerator each one waits for the device.
    """

    report: Callable[[int, dict[str, float]], None] = lambda images, metrics: None
    save: Callable[[int, Mapping[str, Any]], None] | None = None
    should_stop: Callable[[], bool] = lambda: False
    report_every: int = 1
    save_seconds: float = 20.0


def total_steps(task: Task) -> int:
    """Steps to see `total_images`, rounded up."""
    return -(-task.total_images // task.batch_size)


def train(
    task: Task, batches: Callable[[int], Batch], hooks: Hooks | None = None, *, start: int = 0
) -> dict[str, float]:
    """`fit`, then what the task has left to do: after this its weights may be saved and used."""
    metrics = fit(task, batches, hooks or Hooks(), start=start)
    task.finish(batches)
    return metrics


def fit(
    task: Task, batches: Callable[[int], Batch], hooks: Hooks, *, start: int = 0
) -> dict[str, float]:
    """Train from step `start` to the end; returns the last step's metrics. The end is read after
    each step: whoever is asked may move `task.total_images`.

    Args:
        task: with its state of step `start` loaded.
        batches: the batch of a step number.
        hooks: reports, checkpoints, stopping.
        start: steps already done.

    Raises:
        TrainingStopped: `should_stop` said so (a checkpoint was saved first), or a loss became nan
            or infinite, which names the step, the loss and the last finite checkpoint. So does a
            state that is to be saved or kept: a finite loss may have had gradients that are not.
    """
    saved, last_save = start, time.monotonic()
    metrics: dict[str, float] = {}
    index = start - 1
    while (index := index + 1) < total_steps(task):
        try:
            terms = task.step(index, batches(index))
        except NonFiniteLoss as error:
            raise _diverged(index, f"{error}, so nothing was stepped", saved) from error
        done, stop = index + 1, hooks.should_stop()
        steps = total_steps(task)
        if done % hooks.report_every == 0 or done == steps:
            metrics = _floats(terms)
            hooks.report(min(done * task.batch_size, task.total_images), metrics)
        due = time.monotonic() - last_save >= hooks.save_seconds
        if hooks.save and done < steps and (due or stop):
            hooks.save(done, _finite_state(task, index, saved))
            saved, last_save = done, time.monotonic()
        if stop and done < steps:
            raise TrainingStopped(f"stopped at step {done} of {steps}, as asked")
    _finite_state(task, total_steps(task) - 1, saved)
    return metrics


def _finite_state(task: Task, index: int, saved: int) -> dict[str, Any]:
    try:
        state = task.state_dict()
    except NonFiniteLoss as error:
        raise _diverged(index, f"{error}, so nothing was stepped with it", saved) from error
    for name, tensor in _tensors(state):
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise _diverged(index, f"{name} is not finite after it", saved)
    return state


def _tensors(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _tensors(inner, f"{name}.{key}" if name else str(key))


def _diverged(index: int, what: str, saved: int) -> TrainingStopped:
    last = f"The last finite checkpoint is of step {saved}" if saved else "No checkpoint was saved"
    return TrainingStopped(
        f"step {index}: {what}. {last}. Lower the learning rate (lr_g, lr_d; learning_rate of the "
        "encoder) or set precision: float32."
    )


def _floats(terms: Mapping[str, Tensor]) -> dict[str, float]:
    values = torch.stack([t.detach().float() for t in terms.values()]).tolist()
    return dict(zip(terms, values, strict=True))
