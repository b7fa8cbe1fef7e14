"""Images per second of two workers on a core each beside one worker on one core, in one run.

    python -m benchmarks.workers                    # MNIST nets, bfloat16 where the hardware has it
    python -m benchmarks.workers --batch-norm synchronised --blocks 9

Two processes, each held to one core and one thread, exchange gradients by gloo over loopback.
Blocks alternate: rank 0 alone while rank 1 sleeps, both on one batch between them (strong scaling:
the recipe stays), both on a batch each (weak scaling: the batch doubles). Ratios are medians over
neighbouring blocks. CPU times are of all threads of a process, the exchange's among them: where
other programs share the cores, these still say what the work is. `exchange` is the time of a step's
exchanges by themselves.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import distributed

from pipeline.memory import keep_freed
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack
from sgan.training import precision
from sgan.training.adversarial import AdversarialTask
from sgan.training.batch import Batch
from sgan.training.comm import Comm, TorchComm

MNIST = ImageConfig(1, 28, 28, 10)
CASES = ("alone", "strong", "weak")
PARTS = {"level0": (0,), "level1": (1,), "joint": (0, 1)}


@dataclass(frozen=True)
class Block:
    """One block of one case: wall and CPU seconds (of both ranks, where both work) per step."""

    wall: float
    cpu: float


def make_task(
    options: argparse.Namespace, active: Sequence[int], comm: Comm, rows: int
) -> Callable:
    """One step of a level, or of the stack, on `rows` images of this rank."""
    level = LevelConfig(
        batch_size=rows * comm.world_size,
        precision=options.precision,
        reuse_fakes=True,
        batch_norm=options.batch_norm,
    )
    torch.manual_seed(0)
    stack = Stack(StackConfig(MNIST, EncoderConfig(), (level, level)), active)
    task = AdversarialTask(stack, stack.level_configs(), joint=len(active) > 1, comm=comm)
    x, y = torch.rand(rows, *MNIST.shape), torch.randint(0, 10, (rows,))
    with torch.no_grad():
        h1 = stack.encoder.encode(x)[1]
    batch, steps = Batch({0: x, 1: h1}, y), iter(range(10**9))
    return lambda: task.step(next(steps), batch)


def timed(step: Callable, count: int) -> Block:
    """`count` steps by this process; wall and CPU seconds of one."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        step()
    return Block((time.perf_counter() - wall) / count, (time.process_time() - cpu) / count)


def measure(
    options: argparse.Namespace, comm: TorchComm, active: Sequence[int]
) -> dict[str, list[Block]]:
    """Blocks by case; a block of several workers has the mean of their CPU times."""
    size = options.batch_size
    steps = {
        "alone": make_task(options, active, Comm(), size),
        "strong": make_task(options, active, comm, size // comm.world_size),
        "weak": make_task(options, active, comm, size),
    }
    for name in CASES:
        if name != "alone" or comm.rank == 0:
            timed(steps[name], 3)
    comm.barrier()
    alone = timed(steps["alone"], 3).wall if comm.rank == 0 else 0.0
    count = max(2, int(options.seconds / (comm.average_number(alone) * comm.world_size)))
    blocks: dict[str, list[Block]] = {name: [] for name in CASES}
    for _ in range(options.blocks):
        for name in CASES:
            comm.barrier()
            if name == "alone":
                if comm.rank == 0:
                    blocks[name].append(timed(steps[name], count))
                continue
            mine = timed(steps[name], count)
            blocks[name].append(Block(mine.wall, comm.average_number(mine.cpu)))
    return blocks


def exchange(
    comm: TorchComm, active: Sequence[int], dtype: torch.dtype, repeats: int = 20
) -> Block:
    """The exchanges of one step by themselves: one of D's gradients, one of G's, packing
    included."""
    level = LevelConfig()
    stack = Stack(StackConfig(MNIST, EncoderConfig(), (level, level)), active)
    every = [stack.level(i) for i in active]
    phases = [[one.discriminator for one in every], [one.generator for one in every]]
    zeros = {p: torch.zeros_like(p) for p in stack.levels.parameters()}
    terms = {"loss": torch.zeros(())}

    def both() -> None:
        for nets in phases:
            for parameter in (p for net in nets for p in net.parameters()):
                parameter.grad = zeros[parameter]
            comm.average_gradients(nets, terms, dtype)

    both()
    comm.barrier()
    block = timed(both, repeats)
    return Block(block.wall, comm.average_number(block.cpu))


@dataclass(frozen=True)
class Scaling:
    """One training: medians of seconds and CPU seconds a step by case, and how many times as many
    images a second `workers` do as one (medians over neighbouring blocks)."""

    name: str
    workers: int
    wall: dict[str, float]
    cpu: dict[str, float]
    strong: float
    weak: float
    exchanged: Block

    @property
    def strong_cpu(self) -> float:
        """`strong` by CPU time, which other work on the machine does not touch."""
        return self.cpu["alone"] / self.cpu["strong"]

    def cells(self) -> list[str]:
        """One line of the table."""
        return [
            self.name,
            *(f"{1e3 * self.wall[case]:.1f}" for case in CASES),
            f"{self.strong:.2f}",
            f"{self.weak:.2f}",
            *(f"{1e3 * self.cpu[case]:.1f}" for case in CASES),
            f"{self.strong_cpu:.2f}",
            f"{self.workers * self.cpu['alone'] / self.cpu['weak']:.2f}",
            f"{1e3 * self.exchanged.wall:.1f}/{1e3 * self.exchanged.cpu:.1f}",
        ]


def scaling(name: str, blocks: dict[str, list[Block]], workers: int, exchanged: Block) -> Scaling:
    """What the blocks of rank 0 say."""
    wall = {case: statistics.median(b.wall for b in found) for case, found in blocks.items()}
    cpu = {case: statistics.median(b.cpu for b in found) for case, found in blocks.items()}
    pairs = zip(blocks["alone"], blocks["strong"], blocks["weak"], strict=True)
    ratios = [(a.wall / s.wall, workers * a.wall / w.wall) for a, s, w in pairs]
    strong, weak = (statistics.median(column) for column in zip(*ratios, strict=True))
    return Scaling(name, workers, wall, cpu, strong, weak, exchanged)


def work(options: argparse.Namespace) -> None:
    """One rank; rank 0 prints the table, and writes it."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[options.rank]})
    torch.set_num_threads(1)
    keep_freed()  # as `pipeline.parts.worker` does
    distributed.init_process_group(
        "gloo",
        init_method=f"tcp://127.0.0.1:{options.port}",
        rank=options.rank,
        world_size=options.workers,
    )
    comm = TorchComm(torch.device("cpu"))
    header = ["", "1 ms", "strong ms", "weak ms", "strong", "weak"]
    header += ["1 cpu", "strong cpu", "weak cpu", "strong", "weak", "exchange ms/cpu"]
    found: list[Scaling] = []
    dtype = precision.resolve(options.precision, comm.device)
    for part in options.parts:
        blocks, exchanged = measure(options, comm, PARTS[part]), exchange(comm, PARTS[part], dtype)
        if comm.rank == 0:
            found.append(scaling(part, blocks, options.workers, exchanged))
    if comm.rank == 0:
        table = [header, *(one.cells() for one in found)]
        print("\n".join("".join(cell.ljust(12) for cell in cells) for cells in table))
        if options.json:
            told = [{**asdict(one), "strong_cpu": one.strong_cpu} for one in found]
            options.json.write_text(json.dumps(told))
    distributed.destroy_process_group()


def main(argv: Sequence[str] | None = None) -> int:
    """Starts the ranks; their table goes to this process's output."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=2, help="a core each (default: 2)")
    parser.add_argument("--batch-size", type=int, default=100, help="of one worker (default: 100)")
    parser.add_argument(
        "--precision", choices=("auto", "float32", "bfloat16"), default="auto", help="of the nets"
    )
    parser.add_argument("--batch-norm", choices=("per_rank", "synchronised"), default="per_rank")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--blocks", type=int, default=7, help="of each case (default: 7)")
    parser.add_argument("--seconds", type=float, default=2.0, help="a block alone takes these")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = sys.argv[1:] if argv is None else argv
    options = parser.parse_args(given)
    if options.rank is not None:
        work(options)
        return 0
    if options.workers > len(os.sched_getaffinity(0)):
        parser.error(f"--workers {options.workers}: this machine has fewer cores")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    dtype = precision.resolve(options.precision, torch.device("cpu"))
    print(
        f"mnist nets, {options.workers} workers of one core, batch {options.batch_size} a worker "
        f"alone, batch norm {options.batch_norm}, {str(dtype).removeprefix('torch.')}, torch "
        f"{torch.__version__}; ms and CPU ms of a step; ratios: images per second to one worker's",
        flush=True,
    )
    again = [sys.executable, "-m", "benchmarks.workers", *given, "--port", str(port)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen([*again, "--rank", str(rank)], env=environment)
        for rank in range(options.workers)
    ]
    return max(rank.wait() for rank in ranks)


if __name__ == "__main__":
    sys.exit(main())
