"""Did a refactor change what is computed? Twenty steps' losses of every kind of training.

    python -m benchmarks.same_loss --save /tmp/before.txt      # on the old code
    python -m benchmarks.same_loss --against /tmp/before.txt   # on the new: exits 1 on a difference

Every loss of every step is compared to the last bit (repr of its float64), on the CPU in float32
with one thread and seeded random data. A refactor passes or explains itself. Digests depend on the
machine and on torch's version: compare runs of one machine.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.encoder import Encoder
from sgan.stack import Stack
from sgan.training.adversarial import AdversarialTask
from sgan.training.batches import TensorBatches
from sgan.training.classifier import EncoderTask
from sgan.training.loop import Task

STEPS = 20
ROWS = 64
MNIST = ImageConfig(1, 28, 28, 10)
CIFAR10 = ImageConfig(3, 32, 32, 10, centre="pixel_mean")
CIFAR10_LEVEL = LevelConfig(
    z_dim=16,
    batch_size=4,
    d_objective="class_logits",
    g_objective="saturating",
    q_output="linear",
    instance_noise=0.05,
    dropout=0.3,
    g_steps=((0.65, 1), (0.5, 3), (0.3, 5), (0.0, 7)),
    ema_half_life_images=40,
)


def data(image: ImageConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Seeded images uint8 [ROWS, C, H, W] and labels int64 [ROWS]."""
    source = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (ROWS, *image.shape), generator=source, dtype=torch.uint8)
    return pixels, torch.randint(0, image.num_classes, (ROWS,), generator=source)


def encoder_case() -> tuple[Task, TensorBatches]:
    """E's pretraining with its augmentations."""
    config = EncoderConfig(
        total_images=16 * STEPS,
        batch_size=16,
        horizontal_flip=True,
        shift_pixels=2,
        precision="float32",
    )
    torch.manual_seed(0)
    encoder = Encoder(MNIST, config)
    pixels, y = data(MNIST)
    return EncoderTask(encoder, config), TensorBatches({0: pixels}, y, encoder.to_h0, 16, 1)


def stack_case(
    config: StackConfig, active: tuple[int, ...], joint: bool = False
) -> tuple[Task, TensorBatches]:
    """Levels alone, or the whole stack jointly with 0.01 of the gradient passed up."""
    torch.manual_seed(0)
    stack = Stack(config, active)
    settings = stack.level_configs()
    task = AdversarialTask(stack, settings, joint=joint, lower_weight=0.01 if joint else 0.0)
    pixels, y = data(config.image)
    with torch.no_grad():
        hidden = [pixels, *stack.encoder.encode(stack.encoder.to_h0(pixels))[1:-1]]
    columns = {i: hidden[i] for i in task.hidden_needed}
    return task, TensorBatches(columns, y, stack.encoder.to_h0, task.batch_size, 1)


def cases() -> dict[str, Callable[[], tuple[Task, TensorBatches]]]:
    """What is trained, by name."""
    level = LevelConfig(batch_size=8, total_images=8 * STEPS)
    mnist = StackConfig(MNIST, EncoderConfig(), (level, level))
    three = StackConfig(MNIST, EncoderConfig(cut=("conv2", "fc")), (level,) * 3)
    cifar10 = StackConfig(CIFAR10, EncoderConfig(architecture="cifar10"), (CIFAR10_LEVEL,) * 2)
    return {
        "encoder": encoder_case,
        "level0": lambda: stack_case(mnist, (0,)),
        "level1": lambda: stack_case(mnist, (1,)),
        "joint": lambda: stack_case(mnist, (0, 1), joint=True),
        "joint-three-levels": lambda: stack_case(three, (0, 1, 2), joint=True),
        "joint-cifar10": lambda: stack_case(cifar10, (0, 1), joint=True),
    }


def losses(name: str, task: Task, batches: TensorBatches) -> Iterator[str]:
    """One line per loss and step: case, step, key, the float64's repr."""
    for index in range(STEPS):
        for key, value in task.step(index, batches(index)).items():
            yield f"{name} {index} {key} {value.double().item()!r}"


def compare(lines: list[str], before: list[str]) -> str | None:
    """The first difference, in words; None where there is none."""
    for number, (now, then) in enumerate(zip(lines, before, strict=False), start=1):
        if now != then:
            return f"line {number}:\n  before  {then}\n  now     {now}"
    if len(lines) != len(before):
        return f"{len(before)} losses before, {len(lines)} now"
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Runs every case; prints a digest each; saves or compares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--save", type=Path, metavar="FILE", help="write every loss to FILE")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compare with a saved FILE")
    parser.add_argument("--only", nargs="+", choices=cases(), default=list(cases()))
    options = parser.parse_args(argv)
    if options.against and not options.against.is_file():
        parser.error(f"{options.against}: no such file; make it with --save on the old code")
    torch.set_num_threads(1)
    lines: list[str] = []
    print(f"torch {torch.__version__}, {STEPS} steps each, CPU float32, one thread")
    for name in options.only:
        make = cases()[name]
        started = time.perf_counter()
        own = list(losses(name, *make()))
        digest = hashlib.sha256("\n".join(own).encode()).hexdigest()[:16]
        print(f"{name:<20} {digest}  {time.perf_counter() - started:5.1f} s", flush=True)
        lines += own
    print(f"{'all':<20} {hashlib.sha256(chr(10).join(lines).encode()).hexdigest()[:16]}")
    if options.save:
        options.save.write_text("\n".join(lines) + "\n")
        print(f"saved {len(lines)} losses to {options.save}")
    if options.against:
        difference = compare(lines, options.against.read_text().splitlines())
        print(difference or f"the same {len(lines)} losses as {options.against}")
        return 1 if difference else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
