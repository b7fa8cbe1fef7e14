"""Seconds per training step: ours beside a plain port of the authors' step, in one run.

    python -m benchmarks.step_speed                       # MNIST nets, batch 100, one CPU thread
    python -m benchmarks.step_speed --device cuda --architecture cifar10 --seconds 3

Both train the same nets from the same weights on the same batches. The plain port is what one
writes first: float32, NCHW tensors, torch's default Adam, G run anew for the G step with new noise,
D's gradients computed there too and thrown away. Blocks alternate (plain, ours, plain, ours, …), so
that whatever else the machine does meets both; medians over blocks, and the range of the ratio.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack
from sgan.training import precision
from sgan.training.adversarial import AdversarialTask
from sgan.training.batch import Batch
from sgan.training.queued import QueuedTask
from sgan.training.terms import NonFiniteLoss

IMAGES = {"mnist": ImageConfig(1, 28, 28, 10), "cifar10": ImageConfig(3, 32, 32, 10)}
CLASS_LOGITS: dict[str, Any] = {
    "d_objective": "class_logits",
    "g_objective": "saturating",
    "q_output": "linear",
}


@dataclass
class PlainPort:
    """The authors' step on the stack's nets, written down without a second thought."""

    stack: Stack
    active: tuple[int, ...]
    joint: bool
    class_logits: bool
    lower_weight: float

    def __post_init__(self) -> None:
        levels = [self.stack.level(i) for i in self.active]
        self.g_optimizers = [
            torch.optim.Adam(level.generator.parameters(), 1e-4, (0.5, 0.999)) for level in levels
        ]
        self.d_optimizers = [
            torch.optim.Adam(level.discriminator.parameters(), 1e-4, (0.5, 0.999))
            for level in levels
        ]

    def generate(self, batch: Batch) -> dict[int, tuple[Tensor, Tensor, Tensor]]:
        """(condition, noise, ĥ) by level, from the top."""
        fakes: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        for i in reversed(self.active):
            level = self.stack.level(i)
            if level.is_top:
                cond = F.one_hot(batch.y, 10).float()
            elif self.joint:
                above = fakes[i + 1][2]
                cond = above.detach() + self.lower_weight * (above - above.detach())
            else:
                cond = batch.hidden[i + 1]
            z = torch.rand(len(batch.y), level.config.z_dim, device=batch.y.device)
            fakes[i] = (cond, z, level.generate(cond, z))
        return fakes

    def score(self, logits: Tensor) -> Tensor:
        """s with D = sigmoid(s)."""
        return torch.logsumexp(logits, 1) if self.class_logits else logits[:, 0]

    def step(self, batch: Batch) -> None:
        """One D step, one G step."""
        fakes = self.generate(batch)
        loss = torch.zeros((), device=batch.y.device)
        for i in self.active:
            d = self.stack.level(i).discriminator
            real, _ = d(batch.hidden[i])
            fake, z = d(fakes[i][2].detach())
            loss = loss + 0.5 * F.softplus(-self.score(real)).mean()
            loss = loss + 0.5 * F.softplus(self.score(fake)).mean()
            loss = loss + 10 * F.mse_loss(z, fakes[i][1])
            if self.class_logits:
                loss = loss + F.cross_entropy(real, batch.y)
        self._apply(loss, self.d_optimizers)

        fakes = self.generate(batch)
        loss = torch.zeros((), device=batch.y.device)
        for i in self.active:
            cond, noise, h = fakes[i]
            logits, z = self.stack.level(i).discriminator(h)
            s = self.score(logits)
            loss = loss + (-F.softplus(s).mean() if self.class_logits else F.softplus(-s).mean())
            recovered = self.stack.encoder.blocks[i](h)
            if self.stack.level(i).is_top:
                loss = loss + F.cross_entropy(recovered, batch.y)
            else:
                loss = loss + F.mse_loss(recovered, cond)
            loss = loss + 10 * F.mse_loss(z, noise)
        self._apply(loss, self.g_optimizers)

    def _apply(self, loss: Tensor, optimizers: list[torch.optim.Adam]) -> None:
        for optimizer in (*self.g_optimizers, *self.d_optimizers):
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        if not torch.isfinite(loss):
            raise NonFiniteLoss("the plain port's loss", loss.item())


def make_pair(
    options: argparse.Namespace, active: tuple[int, ...], joint: bool
) -> tuple[Callable[[], None], Callable[[], None]]:
    """One step of the plain port and one of ours, on copies of the same nets."""
    device, cifar = torch.device(options.device), options.architecture == "cifar10"
    levels = tuple(
        LevelConfig(
            z_dim=16 if cifar and i == 0 else 50,
            batch_size=options.batch_size,
            precision=options.precision,
            reuse_fakes=not options.new_noise,
            instance_noise=(0.05, 0.2)[i] if cifar else 0.0,
            dropout=0.1 if cifar and i == 0 else 0.0,
            **(CLASS_LOGITS if cifar else {}),
        )
        for i in (0, 1)
    )
    encoder = EncoderConfig(architecture=options.architecture)
    config = StackConfig(IMAGES[options.architecture], encoder, levels)
    torch.manual_seed(0)
    stack = Stack(config, active)
    plain_stack = copy.deepcopy(stack).to(device).train()
    plain = PlainPort(plain_stack, active, joint, cifar, options.lower_weight if joint else 0.0)
    settings = stack.level_configs()
    weight = options.lower_weight if joint else 0.0
    task = AdversarialTask(stack, settings, joint=joint, lower_weight=weight, device=device)

    x = torch.rand(options.batch_size, *config.image.shape, device=device)
    y = torch.randint(0, 10, (options.batch_size,), device=device)
    with torch.no_grad():
        h1 = task.stack.encoder.encode(x)[1]
    batch = Batch({0: x, 1: h1}, y)
    indices = iter(range(10**9))
    ours = QueuedTask(task, graphs=options.graphs) if device.type == "cuda" else task
    return (lambda: plain.step(batch)), (lambda: void(ours.step(next(indices), batch)))


def void(_: object) -> None:
    """Drops a result."""


def timed(step: Callable[[], None], count: int, device: str) -> float:
    """Seconds per step over `count` steps, the device's queue drained before and after."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    wait()
    started = time.perf_counter()
    for _ in range(count):
        step()
    wait()
    return (time.perf_counter() - started) / count


@dataclass(frozen=True)
class Speed:
    """Both ways of one training: seconds a step (medians over blocks) and each block's ratio."""

    name: str
    plain: float
    ours: float
    ratios: list[float]
    steps: int  # of a block

    def text(self) -> str:
        """Its row of the table."""
        spread = f"{min(self.ratios):.2f}-{max(self.ratios):.2f}"
        times = [f"{1e3 * self.plain:.2f}", f"{1e3 * self.ours:.2f}"]
        cells = [self.name, *times, f"{self.plain / self.ours:.2f}", spread, str(self.steps)]
        return "".join(cell.ljust(16) for cell in cells)


def compare(options: argparse.Namespace, name: str, active: tuple[int, ...], joint: bool) -> Speed:
    """The plain port beside ours on one training."""
    plain, ours = make_pair(options, active, joint)
    for step in (plain, ours):  # first calls choose kernels and allocate
        timed(step, 2, options.device)
    count = max(1, int(options.seconds / timed(ours, 1, options.device)))
    pairs = [
        (timed(plain, count, options.device), timed(ours, count, options.device))
        for _ in range(options.blocks)
    ]
    slow, fast = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Speed(name, slow, fast, [a / b for a, b in pairs], count)


def main(arguments: Sequence[str] | None = None) -> list[Speed]:
    """Prints the table; returns its rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--architecture", choices=sorted(IMAGES), default="mnist")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 (default: cpu)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.add_argument(
        "--precision", choices=("auto", "float32", "bfloat16"), default="auto", help="ours"
    )
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--blocks", type=int, default=4, help="of each, alternating (default: 4)")
    parser.add_argument("--seconds", type=float, default=2.0, help="a block of ours takes these")
    parser.add_argument("--lower-weight", type=float, default=0.01, help="in joint training")
    parser.add_argument(
        "--new-noise", action="store_true", help="ours draws new noise for the G step too"
    )
    parser.add_argument(
        "--graphs",
        action=argparse.BooleanOptionalAction,
        help="on CUDA: ours by graphs of whole steps (default), or launched one by one",
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    dtype = precision.resolve(options.precision, torch.device(options.device))
    print(
        f"{options.architecture} nets, batch {options.batch_size}, {options.device}, "
        f"{options.threads} thread(s), ours in {str(dtype).removeprefix('torch.')}, "
        f"torch {torch.__version__}"
    )
    header = ["", "plain ms/step", "ours ms/step", "plain/ours", "range", "steps/block"]
    print("".join(cell.ljust(16) for cell in header))
    rows = []
    for name, active, joint in (
        ("level 0", (0,), False),
        ("level 1", (1,), False),
        ("joint", (0, 1), True),
    ):
        rows.append(compare(options, name, active, joint))
        print(rows[-1].text(), flush=True)
    return rows


if __name__ == "__main__":
    main()
