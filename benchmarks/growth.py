"""How the cost of a training step grows: with batch, width, pixels, levels, classes and images.

    python -m benchmarks.growth                        # every axis
    python -m benchmarks.growth --axes pixels levels --seconds 2

One setting of `BASE` is changed at a time (pyramid nets, float32, one thread), and the steps of
level 0 alone, of level 1 alone and of all levels jointly are timed: the shortest of a few, in CPU
seconds, which other work on the machine stretches somewhat. Beside each time stands how many times
the base's it is, and how many times the arithmetic is (torch's FLOP counter on the same nets):
where the first is the smaller, larger pieces keep the core busier. `images` is the time in which a
batch is gathered from a set of so many in memory, which is all that their number touches.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.cost_model import batch_of, counted, shortest, task_of
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.training.batches import TensorBatches

POINTS = ("conv1", "conv2", "conv3", "fc")  # of the pyramid, where it can be cut
BASE = {
    "batch": 16,
    "width": 100,  # % of the tables': levels.N.width
    "encoder": 16,  # channels of E's first convolution: encoder.width
    "pixels": 32,
    "levels": 2,
    "classes": 10,
    "images": 10_000,
}
AXES = {
    "batch": (8, 16, 32, 64, 128),
    "width": (25, 50, 100, 200),
    "encoder": (8, 16, 32, 64),
    "pixels": (28, 32, 64, 128),
    "levels": (1, 2, 3, 4, 5),
    "classes": (2, 10, 100, 1000),
    "images": (1000, 10_000, 60_000, 250_000),
}
TRAININGS = ("level 0", "level 1", "joint")


@dataclass(frozen=True)
class Step:
    """A step of one training: CPU seconds, and floating-point operations (0: not counted)."""

    seconds: float
    flop: float


@dataclass(frozen=True)
class Point:
    """One value of one axis: the steps by training; those that there are at that value."""

    axis: str
    value: int
    steps: dict[str, Step]

    def growth(self, base: Point, training: str) -> tuple[float, float]:
        """How many times the base's time a step takes, and how many times its arithmetic."""
        now, then = self.steps[training], base.steps[training]
        return now.seconds / then.seconds, now.flop / then.flop if then.flop else 0.0

    def text(self, base: Point) -> str:
        """Its row of the table: milliseconds, times the base's, times the base's arithmetic."""
        cells = [self.axis, str(self.value)]
        for training in TRAININGS:
            if training not in self.steps:
                cells.append("")
                continue
            times, work = self.growth(base, training)
            counted = f", {work:.2f}" if work else ""
            cells.append(f"{1e3 * self.steps[training].seconds:.3g} ({times:.2f}{counted})")
        return line(cells)


def line(cells: Sequence[str]) -> str:
    """A line of the table."""
    padded = (cell.ljust(width) for cell, width in zip(cells, (7, 7, 20, 20, 20), strict=True))
    return f"| {' | '.join(padded)} |"


def stack_of(setting: dict[str, int]) -> StackConfig:
    """The nets of a setting."""
    pixels, levels = setting["pixels"], setting["levels"]
    image = ImageConfig(3, pixels, pixels, setting["classes"])
    cut = POINTS[len(POINTS) - levels + 1 :]
    level = LevelConfig(batch_size=setting["batch"], reuse_fakes=True, width=setting["width"] / 100)
    return StackConfig(image, EncoderConfig("pyramid", cut, setting["encoder"]), (level,) * levels)


def steps_of(setting: dict[str, int], seconds: float) -> dict[str, Step]:
    """The steps of every training of a setting. A stack of one level has no level 1, and its
    joint training is level 0's."""
    config = stack_of(setting)
    trainings: dict[str, tuple[int, ...]] = {"level 0": (0,)}
    if setting["levels"] > 1:
        trainings |= {"level 1": (1,), "joint": tuple(range(setting["levels"]))}
    found = {}
    for name, active in trainings.items():
        joint = len(active) > 1
        task = task_of(config, active, joint)
        batch = batch_of(task, setting["batch"])
        took = shortest(lambda index, t=task, b=batch: t.step(index, b), seconds)
        found[name] = Step(took, counted(config, active, joint).flop * setting["batch"])
    return found


def gathering(setting: dict[str, int], seconds: float) -> dict[str, Step]:
    """The batches of level 0 and of joint training, from images in memory; an epoch's order is
    drawn anew as often as a training does."""
    pixels, rows = setting["pixels"], setting["images"]
    images = torch.zeros(rows, 3, pixels, pixels, dtype=torch.uint8)
    labels = torch.zeros(rows, dtype=torch.int64)
    made = TensorBatches({0: images}, labels, lambda x: x / 255, setting["batch"], 1)
    per_epoch = made.steps_per_epoch

    def epoch(index: int) -> None:
        for position in range(per_epoch):
            made(index * per_epoch + position)

    took = shortest(epoch, seconds) / per_epoch
    return {"level 0": Step(took, 0.0), "joint": Step(took, 0.0)}


def measure(axis: str, values: Sequence[int], seconds: float, base: dict[str, int]) -> list[Point]:
    """Every value of one axis, the base among them."""
    of = gathering if axis == "images" else steps_of
    wanted = sorted({*values, base[axis]})
    return [Point(axis, value, of({**base, axis: value}, seconds)) for value in wanted]


def main(argv: Sequence[str] | None = None) -> list[list[Point]]:
    """Prints the table; returns its points, a list an axis."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES))
    parser.add_argument(
        "--values", type=int, nargs="+", help="of each of them, instead of the usual"
    )
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="of steps a figure, at least two"
    )
    parser.add_argument("--batch", type=int, default=BASE["batch"], help="of the base")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    base = {**BASE, "batch": options.batch}
    told = ", ".join(f"{name} {value:,}" for name, value in base.items())
    print(f"base: {told}; torch {torch.__version__}, float32, one thread")
    print("CPU ms a step (times the base's, times the base's arithmetic)\n")
    header = ("axis", "", *TRAININGS)
    print(line(header))
    print("|" + "---|" * len(header))
    found = []
    for axis in options.axes:
        found.append(measure(axis, options.values or AXES[axis], options.seconds, base))
        base_point = next(point for point in found[-1] if point.value == base[axis])
        for point in found[-1]:
            print(point.text(base_point), flush=True)
    return found


if __name__ == "__main__":
    main()
