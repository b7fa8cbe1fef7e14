"""What training costs on n workers, by a model: compute, all-reduce, data, fixed costs.

    python -m benchmarks.cost_model                 # its check on this machine, then both forecasts
    python -m benchmarks.cost_model --check-only

The arithmetic of a step and the numbers that its all-reduces carry are counted on the real nets
(torch's FLOP counter over one step, forward and backward); the rest is a machine's rates, which
stand in `CORE` and `GPU` with where they come from. A part's step on w workers takes

    t(w) = max(B/w * flop / rate, kernels * launch) + sum over D and G of allreduce(bytes, w)
    allreduce(bytes, w) = 2 (w - 1)/w * bytes / bandwidth + 2 (w - 1) * latency      (a ring)

and, where images are read, no less than B/w * bytes of an image / read rate. Levels share n workers
so that the slowest is quickest; joint training has all n. A forecast is not a measurement: what was
measured stands in docs/SCALING.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack
from sgan.training.adversarial import AdversarialTask
from sgan.training.batch import Batch


@dataclass(frozen=True)
class Machine:
    """Rates of one worker and of what joins workers.

    rate: FLOP/s reached in a step. launch: s a kernel takes at least. bandwidth: bytes/s of an
    all-reduce. latency: s a hop. read: bytes/s of images from where they lie.
    """

    name: str
    rate: float
    launch: float
    bandwidth: float
    latency: float
    read: float


# rate: docs/SCALING.md (level 0 of MNIST in bfloat16, one core). The link is loopback under gloo.
CORE = Machine("one core, bfloat16", 147e9, 0.0, 1.0e9, 5e-5, 64e6)
# A quarter of an H100's dense bfloat16 peak (989 TFLOP/s); 5 us a kernel; 200 Gbit/s between
# nodes; shards from S3 at 500 MB/s a worker. Assumed, not measured: no GPU was at hand.
GPU = Machine("one H100 (assumed rates)", 250e12, 5e-6, 25e9, 1e-5, 500e6)

TRAIN_START = 20.0  # s until Ray Train's workers step: 16 to 24 measured
PART_START = 6.0  # s for a part's process: imports, inputs


@dataclass(frozen=True)
class Cost:
    """One training: FLOP an image, kernels a step, bytes of gradients of each phase, bytes of an
    image that is read (0 for levels that read features only)."""

    name: str
    flop: float
    kernels: int
    phases: tuple[float, ...]
    image: float

    def step(self, machine: Machine, batch: int, workers: int) -> float:
        """Seconds of one step of `batch` images over `workers`."""
        share = batch / workers
        compute = max(share * self.flop / machine.rate, self.kernels * machine.launch)
        reading = share * self.image / machine.read
        return max(compute, reading) + sum(ring(size, workers, machine) for size in self.phases)

    def seconds(self, machine: Machine, batch: int, workers: int, images: int) -> float:
        """Seconds of a training that sees `images`, with its start."""
        fixed = PART_START + (TRAIN_START if workers > 1 else 0)
        return fixed + images / batch * self.step(machine, batch, workers)


def ring(size: float, workers: int, machine: Machine) -> float:
    """Seconds of an all-reduce of `size` bytes."""
    if workers == 1:
        return 0.0
    hops = 2 * (workers - 1)
    return hops / workers * size / machine.bandwidth + hops * machine.latency


class _Kernels(TorchDispatchMode):
    """Counts the calls that a device would launch."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.count += 1
        return func(*args, **(kwargs or {}))


def task_of(config: StackConfig, levels: tuple[int, ...], joint: bool) -> AdversarialTask:
    """A training of random nets."""
    torch.manual_seed(0)
    stack = Stack(config, levels)
    return AdversarialTask(stack, stack.level_configs(), joint=joint)


def batch_of(task: AdversarialTask, count: int) -> Batch:
    """`count` random images, their features and labels."""
    image = task.stack.config.image
    x = torch.rand(count, *image.shape)
    with torch.no_grad():
        hidden = dict(enumerate(task.stack.encoder.encode(x)[:-1]))
    return Batch({**hidden, 0: x}, torch.randint(0, image.num_classes, (count,)))


def counted(config: StackConfig, levels: tuple[int, ...], joint: bool = False) -> Cost:
    """The cost of a step, counted on the real nets with a small batch."""
    task, count = task_of(config, levels, joint), 4
    batch = batch_of(task, count)
    task.step(0, batch)  # spectral norms, optimizer states: what only the first step makes
    kernels = _Kernels()
    with kernels:
        task.step(1, batch)
    flops = FlopCounterMode(display=False)
    with flops:
        task.step(2, batch)
    nets = [task.stack.level(i) for i in levels]
    sizes = tuple(
        4.0 * sum(p.numel() for net in nets for p in getattr(net, part).parameters())
        for part in ("discriminator", "generator")
    )
    channels, height, width = config.image.shape
    read = float(channels * height * width) if 0 in levels else 0.0
    name = "joint" if joint else f"level {levels[0]}"
    return Cost(name, flops.get_total_flops() / count, kernels.count, sizes, read)


def shared(costs: Sequence[Cost], machine: Machine, batch: int, n: int) -> list[int]:
    """Workers of each level, n in all: each in turn to the level that is slowest by then."""
    workers = [1] * len(costs)
    for _ in range(n - len(costs)):
        slowest = max(range(len(costs)), key=lambda i: costs[i].step(machine, batch, workers[i]))
        more = costs[slowest].step(machine, batch, workers[slowest] + 1)
        if more >= costs[slowest].step(machine, batch, workers[slowest]):
            break
        workers[slowest] += 1
    return workers


@dataclass(frozen=True)
class Checked:
    """One training's step in seconds: the model's, and the CPU time of the shortest of five here,
    which is the clock's too where nothing else runs on the core."""

    name: str
    model: float
    here: float


def shortest(step: Callable[[int], object], seconds: float = 0.0, least: int = 2) -> float:
    """CPU seconds of the shortest of `least` steps or more, which take `seconds` or more together,
    after one that is not counted."""
    step(0)
    best, spent, index = float("inf"), 0.0, 1
    while index <= least or spent < seconds:
        began = time.process_time()
        step(index)
        took = time.process_time() - began
        best, spent, index = min(best, took), spent + took, index + 1
    return best


def check(batch: int = 100) -> list[Checked]:
    """The model beside this machine, one core, MNIST's nets."""
    torch.set_num_threads(1)
    levels = (LevelConfig(reuse_fakes=True, precision="auto"), LevelConfig(reuse_fakes=True))
    config = StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(cut=("fc",)), levels)
    found: list[Checked] = []
    print(f"MNIST's nets, batch {batch}, {CORE.name}, torch {torch.__version__}")
    print(f"{'':10}{'GFLOP/step':>12}{'model ms':>12}{'here ms':>12}")
    for active in ((0,), (1,), (0, 1)):
        joint = len(active) > 1
        cost, task = counted(config, active, joint), task_of(config, active, joint)
        images = batch_of(task, batch)
        best = shortest(lambda index, t=task, b=images: t.step(index, b), least=5)
        model = cost.step(CORE, batch, 1)
        print(f"{cost.name:10}{batch * cost.flop / 1e9:12.1f}{1e3 * model:12.1f}{1e3 * best:12.1f}")
        found.append(Checked(cost.name, model, best))
    return found


def forecast(title: str, costs: Sequence[Cost], joint: Cost, images: int, batch: int) -> None:
    """Both phases over numbers of GPUs: levels side by side, then joint."""
    print(f"\n{title}; {images:,} images a level, batch {batch}, {GPU.name}")
    header = ("GPUs", "workers a level", "levels h", "joint h", "levels x", "joint x", "all-reduce")
    print(f"{header[0]:>5}  {header[1]:<26}" + "".join(f"{name:>12}" for name in header[2:]))
    first: tuple[float, float] | None = None
    for n in (len(costs), 16, 32, 64, 128):
        workers = shared(costs, GPU, batch, n)
        alone = max(c.seconds(GPU, batch, w, images) for c, w in zip(costs, workers, strict=True))
        together = joint.seconds(GPU, batch, n, images)
        first = first or (alone, together)
        exchanged = sum(ring(size, n, GPU) for size in joint.phases)
        row = (alone / 3600, together / 3600, first[0] / alone, first[1] / together)
        print(
            f"{n:5}  {' '.join(map(str, workers)):<26}"
            + "".join(f"{value:12.2f}" for value in row)
            + f"{exchanged / joint.step(GPU, batch, n):12.0%}"
        )


def main(argv: Sequence[str] | None = None) -> list[Checked]:
    """Prints the tables; returns the rows of the check."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check-only", action="store_true", help="this machine's table alone")
    parser.add_argument("--batch-size", type=int, default=1024, help="of the forecasts")
    parser.add_argument("--check-batch", type=int, default=100, help="of the check")
    options = parser.parse_args(argv)
    checked = check(options.check_batch)
    if options.check_only:
        return checked
    levels = tuple(LevelConfig() for _ in range(5))
    encoder = EncoderConfig("pyramid", ("conv1", "conv2", "conv3", "fc"), 64)
    config = StackConfig(ImageConfig(3, 128, 128, 1000), encoder, levels)
    costs = [counted(config, (i,)) for i in range(5)]
    joint = counted(config, (0, 1, 2, 3, 4), True)
    for cost in (*costs, joint):
        sizes = ", ".join(f"{size / 1e6:.0f}" for size in cost.phases)
        print(f"{cost.name:8} {cost.flop / 1e9:8.2f} GFLOP an image, D and G {sizes} MB")
    images = 200 * 1_281_167
    forecast("ImageNet at 128x128, five levels", costs, joint, images, options.batch_size)
    # Our nets have five levels at most; eight are these with the middle one four times over.
    eight = [*costs[:2], *[costs[2]] * 4, *costs[3:]]
    extra = [costs[2]] * 3
    whole = Cost(
        "joint",
        joint.flop + sum(c.flop for c in extra),
        joint.kernels + sum(c.kernels for c in extra),
        tuple(a + sum(c.phases[k] for c in extra) for k, a in enumerate(joint.phases)),
        joint.image,
    )
    forecast("Eight levels, the middle one four times", eight, whole, images, options.batch_size)
    return checked


if __name__ == "__main__":
    main()
