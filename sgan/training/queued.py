"""A GAN's step for an accelerator: its queue never runs dry while somebody reads a loss.

`AdversarialTask.step` asks for three numbers a step (is D's loss finite, how many G steps does it
call for, is G's finite), and waits for each until the device has done all that it was asked. Here a
loss that is not finite keeps the optimizer from stepping on the device itself, and is told later;
and the count of G steps is read while the first of them, which there always is, is at work. With
CUDA the D step and the G steps are recorded once as graphs (Nguyen et al., "Accelerating PyTorch
with CUDA Graphs", pytorch.org, 2021), so that a step is launched in some calls, not in thousands.

On a CPU the same code takes the very steps of the task, to the bit.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sgan.training.adversarial import AdversarialTask
from sgan.training.batch import Batch
from sgan.training.step import Fake
from sgan.training.terms import NonFiniteLoss, total_loss

_WARM_UP = 3  # steps before one is recorded: libraries choose their kernels in the first
Terms = dict[str, Tensor]


class QueuedTask:
    """An AdversarialTask as the training loop takes it, stepped without waiting for its losses.

    The terms that `step` returns are overwritten by the next step where graphs are used.

    Args:
        task: of one worker; trained in place.
        graphs: record and replay; by default wherever the device is CUDA's.
        check_every: steps between two looks at whether every loss was finite.

    Raises:
        ValueError: graphs on another device, or a task of several workers.
    """

    def __init__(
        self, task: AdversarialTask, *, graphs: bool | None = None, check_every: int = 100
    ) -> None:
        on_cuda = task.device.type == "cuda"
        if graphs and not on_cuda:
            raise ValueError(f"graphs = True: the device is {task.device.type}; allowed: cuda")
        if task.comm.world_size > 1:
            raise ValueError(f"a task of {task.comm.world_size} workers: allowed: 1")
        self.task, self.check_every = task, check_every
        self.batch_size, self.seed = task.batch_size, task.seed
        self.graphs = on_cuda if graphs is None else graphs
        task.refuse = self._refuse
        self._refused = {
            total: torch.zeros((), device=task.device) for total in ("loss_d", "loss_g")
        }
        self._steer = torch.empty((), pin_memory=on_cuda)
        self._read = torch.cuda.Event() if on_cuda else None
        self._recorded: _Recorded | None = None

    @property
    def total_images(self) -> int:
        """The task's; may be set while it trains."""
        return self.task.total_images

    @total_images.setter
    def total_images(self, value: int) -> None:
        self.task.total_images = value

    @property
    def hidden_needed(self) -> tuple[int, ...]:
        """The task's."""
        return self.task.hidden_needed

    def to_h0(self, pixels: Tensor) -> Tensor:
        """The task's: uint8 [B, C, H, W] -> h_0 float [B, C, H, W]."""
        return self.task.to_h0(pixels)

    def step(self, index: int, batch: Batch) -> Terms:
        """The task's step. Raises NonFiniteLoss every `check_every` steps, for any since the last:
        with a loss that is not finite nothing was stepped."""
        if self.graphs and self._recorded is None:
            self._recorded = _record(self.task, batch)
        self.task.begin(index)
        work: _Eager | _Recorded = self._recorded or _Eager(self.task)
        d_terms = work.d(batch)
        self._ask(d_terms[self.task.steer])
        g_terms = work.g(first=True)
        for _ in range(1, self._count()):
            g_terms = work.g(first=False)
        self.task.end()
        if (index + 1) % self.check_every == 0:
            self.check()
        return d_terms | g_terms

    def _ask(self, steer: Tensor) -> None:
        """Have the loss brought here, if it decides anything."""
        if len(self.task.g_steps) > 1:
            self._steer.copy_(steer, non_blocking=True)
            if self._read:
                self._read.record()

    def _count(self) -> int:
        """G steps of this D step, once its loss is here: the first of them is on its way."""
        if len(self.task.g_steps) == 1:
            return self.task.g_steps[0][1]
        if self._read:
            self._read.synchronize()
        return self.task.g_steps_after(self._steer.item())

    def _refuse(self, terms: Mapping[str, Tensor], name: str) -> None:
        """In place of an exception: a flag that fused Adam reads on the device, and one to keep."""
        flag = 1.0 - torch.isfinite(total_loss(terms, name)).float()
        self._refused[name].copy_(torch.maximum(self._refused[name], flag))
        for optimizer in self.task.optimizers.values():
            optimizer.found_inf = flag  # type: ignore[attr-defined]

    def check(self) -> None:
        """Raises NonFiniteLoss where a loss was not finite; waits for the device."""
        for name, flag in self._refused.items():
            if flag.item():
                flag.zero_()
                raise NonFiniteLoss(f"{name} in the last {self.check_every} steps", math.nan)

    def state_dict(self) -> dict[str, Any]:
        """The task's, as if it had been stepped by itself. Raises NonFiniteLoss."""
        self.check()
        state = self.task.state_dict()
        for optimizer in state["optimizers"].values():
            for group in optimizer["param_groups"]:
                group |= {"lr": float(group["lr"]), "capturable": False}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`. What was recorded is recorded anew."""
        self._recorded = None
        self.task.load_state_dict(state)

    def finish(self, batches: Callable[[int], Batch]) -> None:
        """The task's. Raises NonFiniteLoss."""
        self.check()
        self._recorded = None
        self.task.finish(batches)

    def save(self, path: Path, about: Mapping[str, Any]) -> None:
        """The task's."""
        self.task.save(path, about)


class _Eager:
    """The phases of one step as they are."""

    def __init__(self, task: AdversarialTask) -> None:
        self.task = task

    def d(self, batch: Batch) -> Terms:
        """The D step."""
        self.batch = batch
        terms, self.fakes = self.task.step_d(batch)
        return terms

    def g(self, first: bool) -> Terms:
        """A G step; the first may take D's fakes."""
        return self.task.step_g(self.batch, self.fakes if first else None)


class _Recorded:
    """The phases as CUDA graphs on tensors of their own, replayed in the order of their recording:
    they share memory."""

    def __init__(self, task: AdversarialTask, static: Batch) -> None:
        self.static = static
        pool = torch.cuda.graph_pool_handle()
        self._d, self._g, self._again = (torch.cuda.CUDAGraph() for _ in range(3))
        fakes: dict[int, Fake] | None
        with torch.cuda.graph(self._d, pool=pool):
            self._d_terms, fakes = task.step_d(static)
        with torch.cuda.graph(self._g, pool=pool):
            self._g_terms = task.step_g(static, fakes)
        fakes = None
        with torch.cuda.graph(self._again, pool=pool):
            self._again_terms = task.step_g(static, None)

    def d(self, batch: Batch) -> Terms:
        """The D step."""
        for i, own in self.static.hidden.items():
            own.copy_(batch.hidden[i])
        self.static.y.copy_(batch.y)
        self._d.replay()
        return dict(self._d_terms)

    def g(self, first: bool) -> Terms:
        """A G step; the first may take D's fakes."""
        (self._g if first else self._again).replay()
        return dict(self._g_terms if first else self._again_terms)


def _record(task: AdversarialTask, batch: Batch) -> _Recorded:
    """Graphs of the task's phases. What is trained is after it as it was before."""
    static = Batch({i: h.clone() for i, h in batch.hidden.items()}, batch.y.clone())
    here, side = torch.cuda.current_stream(task.device), torch.cuda.Stream(task.device)
    side.wait_stream(here)
    with torch.cuda.stream(side):
        warm_up(task, static)
    here.wait_stream(side)
    for optimizer in task.optimizers.values():
        for group in optimizer.param_groups:  # a graph reads a rate anew where it is a tensor
            group["capturable"] = True
            group["lr"] = torch.tensor(float(group["lr"]), device=task.device)
    return _Recorded(task, static)


def warm_up(task: AdversarialTask, batch: Batch) -> None:
    """Some steps after which all is as it was, but that the optimizers have their state: a
    recording that made it would make it anew each time."""
    kept = copy.deepcopy(task.state_dict())
    for _ in range(_WARM_UP):
        _, fakes = task.step_d(batch)
        task.step_g(batch, fakes)
        task.step_g(batch, None)
    for name, optimizer in task.optimizers.items():
        own = kept["optimizers"][name]
        if not own["state"]:  # before the first step
            now = optimizer.state_dict()["state"]
            own["state"] = {
                k: {n: torch.zeros_like(v) for n, v in values.items()} for k, values in now.items()
            }
        optimizer.zero_grad(set_to_none=True)
    task.load_state_dict(kept)
