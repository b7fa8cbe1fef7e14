"""The GAN task: a (partial) stack with its optimizers, stepped phase by phase."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sgan import weights
from sgan.config import LevelConfig
from sgan.stack import Stack
from sgan.training import precision, schedule, step
from sgan.training.batch import Batch
from sgan.training.batch_norm import statistics_anew, synchronise
from sgan.training.comm import Comm
from sgan.training.ema import ExponentialAverage
from sgan.training.loop import total_steps
from sgan.training.optimizers import Adam
from sgan.training.seeds import mix
from sgan.training.step import Fake
from sgan.training.terms import require_finite, total_loss

# After averaging, batch-norm statistics are taken over this many batches, and over no more than
# were trained on: they would be most of a short training.
_NORM_BATCHES = 100


class AdversarialTask:
    """Trains the active levels of a stack: independently, or jointly.

    Step t draws every random number from (seed, t, rank), so a run resumed from any checkpoint
    equals one that was never interrupted, bit for bit on the same device.

    Args:
        stack: levels to train; its encoder has its weights.
        settings: each active level's settings for this training. Of those that one step has for
            all levels (batch size, images, seed, precision, g_steps, reuse_fakes, batch_norm) the
            lowest level's count.
        joint: h_{i+1} from the generator above instead of the encoder.
        lower_weight: share of level i's gradient that reaches G_{i+1} (joint only).
        encoder_share: share of a batch that is conditioned by the encoder all the same (joint
            only; not what batch norm's statistics are taken of in the end).
        device: where everything lives.
        comm: the other workers on this part.
    """

    def __init__(
        self,
        stack: Stack,
        settings: Mapping[int, LevelConfig],
        *,
        joint: bool = False,
        lower_weight: float = 0.0,
        encoder_share: float = 0.0,
        device: torch.device | None = None,
        comm: Comm | None = None,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.comm = comm or Comm()
        self.settings = dict(settings)
        self.joint, self.lower_weight, self.encoder_share = joint, lower_weight, encoder_share
        self.stack = stack.to(self.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.comm.broadcast_(t for t in stack.levels.state_dict().values())
        lowest = self.settings[stack.active[0]]
        if self.comm.world_size > 1 and lowest.batch_norm == "synchronised":
            synchronise(stack.levels, self.comm)
        self.batch_size, self.total_images = lowest.batch_size, lowest.total_images
        self.seed, self.g_steps = lowest.seed, lowest.g_steps
        self.reuse_fakes, self.to_h0 = lowest.reuse_fakes, stack.encoder.to_h0
        self.dtype = precision.resolve(lowest.precision, self.device)
        self.steer = f"level{stack.active[0]}/loss_d_adv"
        self.refuse = require_finite  # before an optimizer steps
        self.generators = [stack.level(i).generator for i in stack.active]
        self.discriminators = [stack.level(i).discriminator for i in stack.active]
        self.optimizers = {
            name: _adam(net, c, lr)
            for i, c in self.settings.items()
            for name, net, lr in (
                (f"level{i}/g", stack.level(i).generator, c.lr_g),
                (f"level{i}/d", stack.level(i).discriminator, c.lr_d),
            )
        }
        self.averages = {
            str(i): ExponentialAverage(stack.level(i).generator, c.ema_half_life_images)
            for i, c in self.settings.items()
            if c.ema_half_life_images
        }

    @property
    def hidden_needed(self) -> tuple[int, ...]:
        """The h_i a Batch must hold: the active levels' own, and independent ones' conditions."""
        active = self.stack.active
        conditions = () if self.joint else tuple(i + 1 for i in active)
        return tuple(sorted({i for i in (*active, *conditions) if i < self.stack.num_levels}))

    def step(self, index: int, batch: Batch) -> dict[str, Tensor]:
        """One D step, then one or more G steps; returns the last value of every loss (scalars,
        over all the workers' images).

        Raises NonFiniteLoss before the optimizer of the offending phase steps.
        """
        self.begin(index)
        fakes: dict[int, Fake] | None
        d_terms, fakes = self.step_d(batch)
        for _ in range(self.g_steps_after(d_terms[self.steer].item())):
            g_terms = self.step_g(batch, fakes)
            fakes = None
        self.end()
        return d_terms | g_terms

    def begin(self, index: int) -> None:
        """Seeds and learning rates of step `index`."""
        torch.manual_seed(mix(self.seed, index, self.comm.rank))
        self._set_learning_rates(index)

    def step_d(self, batch: Batch) -> tuple[dict[str, Tensor], dict[int, Fake]]:
        """The D step; its losses, and the ĥ_i that it saw."""
        with precision.autocast(self.dtype, self.device):
            fakes = self._generate(batch)
            terms = step.discriminator_losses(self.stack, self.settings, batch, fakes)
        return self._minimise(terms, "loss_d", self.discriminators, "d"), fakes

    def g_steps_after(self, steer: float) -> int:
        """How many G steps follow a D step whose loss `self.steer` was this."""
        halved = self.settings[self.stack.active[0]].halve_d
        return schedule.generator_steps(self.g_steps, steer if halved else 0.5 * steer)

    def step_g(self, batch: Batch, fakes: Mapping[int, Fake] | None) -> dict[str, Tensor]:
        """A G step, on the D step's `fakes` where `reuse_fakes` says so, else on new ones; its
        losses."""
        with step.without_gradient(self.discriminators):
            with precision.autocast(self.dtype, self.device):
                if fakes is None or not self.reuse_fakes:
                    fakes = self._generate(batch)
                terms = step.generator_losses(self.stack, self.settings, dict(fakes))
            return self._minimise(terms, "loss_g", self.generators, "g")

    def end(self) -> None:
        """What follows the last G step: the averages."""
        for average in self.averages.values():
            average.update(self.batch_size)

    def _generate(self, batch: Batch) -> dict[int, Fake]:
        return step.generate(self.stack, batch, self.joint, self.lower_weight, self.encoder_share)

    def _minimise(
        self, terms: Mapping[str, Tensor], total: str, nets: Iterable[nn.Module], role: str
    ) -> dict[str, Tensor]:
        """One optimizer step on the sum of the levels' `total`; returns the terms' means over the
        workers."""
        optimizers = [o for name, o in self.optimizers.items() if name.endswith(f"/{role}")]
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.comm.backward(total_loss(terms, total))
        means = self.comm.average_gradients(nets, terms, self.dtype)
        self.refuse(means, total)
        for optimizer in optimizers:
            optimizer.step()
        return means

    def _set_learning_rates(self, index: int) -> None:
        progress = min(1.0, index * self.batch_size / self.total_images)
        for i, c in self.settings.items():
            factor = schedule.lr_factor(c.lr_schedule, progress)
            for role, lr in (("g", c.lr_g), ("d", c.lr_d)):
                for group in self.optimizers[f"level{i}/{role}"].param_groups:
                    if isinstance(group["lr"], Tensor):  # a recorded step reads it where it lies
                        group["lr"].fill_(lr * factor)
                    else:
                        group["lr"] = lr * factor

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on: nets, optimizers, averages."""
        return {
            "levels": self.stack.levels.state_dict(),
            "optimizers": {name: o.state_dict() for name, o in self.optimizers.items()},
            "averages": {i: a.state_dict() for i, a in self.averages.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.stack.levels.load_state_dict(state["levels"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        for i, average in self.averages.items():
            average.load_state_dict(state["averages"][i])

    def finish(self, batches: Callable[[int], Batch]) -> None:
        """Put averaged generators in place; their batch-norm statistics are recomputed, not copied,
        and so are those that hold the encoder's share of batches.

        Args:
            batches: the training's by their number, which give the conditions: the first hundred,
                or as many as it has been trained on.
        """
        if not self.averages and not self.encoder_share:
            return
        for average in self.averages.values():
            average.copy_to_net()
        count = min(_NORM_BATCHES, total_steps(self))
        self.recompute_batch_norm(batches(k) for k in range(count))

    def save(self, path: Path, about: Mapping[str, Any]) -> None:
        """The weights to a file whose model card says `about` (JSON types): the whole stack with
        its encoder after joint training, else the active levels."""
        write = weights.save_stack if self.joint else weights.save_levels
        write(path, self.stack, about)

    def recompute_batch_norm(self, batches: Iterable[Batch]) -> None:
        """Set the generators' running statistics to those of `batches` (cumulative average)."""
        torch.manual_seed(mix(self.seed, 2**20, self.comm.rank))
        with statistics_anew(self.generators):
            for batch in batches:
                step.generate(self.stack, batch, self.joint)


def _adam(net: nn.Module, c: LevelConfig, lr: float) -> Adam:
    return Adam(net.parameters(), lr, (c.beta1, c.beta2), c.adam_eps, fused=True)
