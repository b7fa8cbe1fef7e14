"""How long a training waits for its images: held, streamed from the disk, streamed from S3.

    python -m benchmarks.feeding                    # 60 steps on the CPU
    python -m benchmarks.feeding --device cuda --steps 3000
    python -m benchmarks.feeding --pace 220         # one core's speed, but nothing is computed

Real steps of MNIST's level 0, batch 100, on 60,000 random images. The time spent in asking for
batches is set against the whole. `ahead` is what trains; `alone` reads a group of shards only when
its first batch is asked for. A group is of 2,000 images instead of all, so that the few steps here
meet as many ends of one, an epoch, as hours of training do. S3 is moto_server on this machine,
over HTTP.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.data import feature_writer, features, opening, shard_writer, shards
from pipeline.data.batches import batches
from pipeline.data.dataset import Dataset
from pipeline.params.settings import DataConfig
from pipeline.storage import s3
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.encoder import Encoder
from sgan.training.assembly import independent
from sgan.training.comm import Comm

WINDOW, SHARD, BATCH, ROWS = 2, 1000, 100, 60_000


@dataclass
class Timed:
    """Batches, and the seconds that were spent in asking for them."""

    inner: Any
    seconds: float = 0.0

    def __call__(self, index: int) -> Any:
        began = time.perf_counter()
        batch = self.inner(index)
        self.seconds += time.perf_counter() - began
        return batch


@dataclass(frozen=True)
class Waiting:
    """A source of images, the way it was read (held, ahead, alone), seconds a step, and the share
    of them that was spent in asking for a batch."""

    source: str
    way: str
    step: float
    share: float


def write_data(folder: Path, rows: int) -> None:
    """Shards and features of `rows` random images of MNIST's shape."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (rows, 28, 28, 1), np.uint8)
    labels = rng.integers(0, 10, rows)
    dataset = Dataset(images, labels, images[:100], labels[:100], tuple("0123456789"))
    shard_writer.write(dataset, folder / "data", DataConfig("custom", "here", shard_images=SHARD))
    h1 = rng.random((rows, 256), np.float32)
    feature_writer.write(folder / "features.arrow", {"h1": h1, "y": labels})


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """moto_server with what lies in `folder`; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    fixed = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    os.environ |= {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", **fixed}
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    command = [str(Path(sys.executable).parent / "moto_server"), "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as process:  # type: ignore[call-overload]
        try:
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.1)
            s3.client().create_bucket(Bucket="feeding")
            for path in folder.iterdir():
                s3.put_file(path, f"s3://feeding/data/{path.name}")
            yield "s3://feeding/data"
        finally:
            process.terminate()


def train(folder: Path, data: str, device: torch.device, steps: int, held: bool) -> Any:
    """A new level 0 and its batches."""
    level = LevelConfig(batch_size=BATCH, total_images=steps * BATCH, precision="auto")
    stack = StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(), (level, LevelConfig()))
    encoder = Encoder(stack.image, stack.encoder).state_dict()
    task: Any = independent(stack, 0, encoder, device=device, comm=Comm())
    upper, y = features.columns_of(folder / "features.arrow", task.hidden_needed)
    resident = 2**31 if held else 0
    made = batches(task, data, upper, y, device=device, resident_bytes=resident, window=WINDOW)
    return task, Timed(made)


def share_waiting(task: Any, timed: Timed, steps: int, pace: float | None) -> tuple[float, float]:
    """Share of the time that was spent in asking for batches, and seconds a step."""

    def step(index: int, batch: Any) -> None:
        if pace is not None:
            time.sleep(pace)
            return
        task.step(index, batch)
        if task.device.type == "cuda":
            torch.cuda.synchronize()

    for index in range(3):
        step(index, timed.inner(index))
    timed.seconds, began = 0.0, time.perf_counter()
    for index in range(3, steps):
        step(index, timed(index))
    whole = time.perf_counter() - began
    return timed.seconds / whole, whole / (steps - 3)


def main(argv: Sequence[str] | None = None) -> list[Waiting]:
    """Prints a row per source; returns them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--images", type=int, default=ROWS, help=f"of the set (default: {ROWS})")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="that a step computes with")
    parser.add_argument("--pace", type=float, help="a step sleeps for so many ms instead")
    arguments = parser.parse_args(argv)
    pace = None if arguments.pace is None else arguments.pace / 1000
    torch.set_num_threads(arguments.threads)
    opening.register("s3", s3.open_stream)
    device = torch.device(arguments.device)
    print(f"MNIST's level 0 on {device}, {arguments.steps} steps of {BATCH}")
    print(f"{'source':8}{'read':8}{'ms a step':>10}{'waiting':>9}")
    found: list[Waiting] = []
    with tempfile.TemporaryDirectory() as inside:
        folder = Path(inside)
        write_data(folder, arguments.images)
        with s3_server(folder / "data") as remote:
            local = str(folder / "data")
            rows = (("memory", local, True), ("disk", local, False), ("S3", remote, False))
            for source, data, held in rows:
                for way in ("ahead",) if held else ("ahead", "alone"):
                    read_ahead = shards.ahead
                    shards.ahead = read_ahead if way == "ahead" else iter  # type: ignore[assignment]
                    try:
                        task, timed = train(folder, data, device, arguments.steps, held)
                        share, step = share_waiting(task, timed, arguments.steps, pace)
                    finally:
                        shards.ahead = read_ahead
                    shown = "held" if held else way
                    print(f"{source:8}{shown:8}{1000 * step:10.1f}{share:9.2%}", flush=True)
                    found.append(Waiting(source, shown, step, share))
    return found


if __name__ == "__main__":
    main()
