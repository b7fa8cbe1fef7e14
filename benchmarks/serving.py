"""Latency of `sgan serve` by the rate of requests, until it breaks.

    python -m benchmarks.serving                          # the paper's MNIST nets, random weights
    python -m benchmarks.serving --weights artifacts/joint/stack.safetensors
    python -m benchmarks.serving --architecture cifar10 --rates 5 10 20

The server is a process of its own, asked over HTTP for one image a request by as many connections
as it takes. Requests leave at fixed times whether or not the answers have come (an open loop: a
slow server cannot slow its askers down, which would hide the waiting), and a latency counts from
the time at which the request was due. A rate breaks the server where it answers fewer than 95 % of
the requests in the time given, or refuses some. Weights decide no latency.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np

from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack
from sgan.weights import save_stack

RATES = (1, 5, 10, 20, 40, 60, 80, 120, 160, 240, 320)
GOAL_RATE, GOAL_S = 20, 0.1
STACKS = {
    "mnist": (ImageConfig(1, 28, 28, 10), EncoderConfig(), (50, 50)),
    "cifar10": (ImageConfig(3, 32, 32, 10), EncoderConfig("cifar10"), (16, 50)),
}


@dataclass(frozen=True)
class Rate:
    """One rate's latencies, in seconds from when each request was due."""

    rate: float
    latencies: np.ndarray
    failed: int
    seconds: float

    @property
    def broke(self) -> bool:
        """Whether the server did not keep up."""
        return self.failed > 0 or len(self.latencies) / self.seconds < 0.95 * self.rate

    @property
    def p95(self) -> float:
        """The latency in seconds below which 95 % of the answers came."""
        return self._quantiles(0.95)[0]

    def _quantiles(self, *shares: float) -> list[float]:
        """Infinite where nothing was answered."""
        some = len(self.latencies) > 0
        return [float(np.quantile(self.latencies, q)) if some else math.inf for q in shares]

    def text(self) -> str:
        """Its row of the table."""
        p50, p95, p99 = (1000 * value for value in self._quantiles(0.5, 0.95, 0.99))
        answered = len(self.latencies) / self.seconds
        broke = "  broke" if self.broke else ""
        return (
            f"{self.rate:8.0f} {answered:10.1f} {p50:9.1f} {p95:9.1f} {p99:9.1f} "
            f"{self.failed:7d}{broke}"
        )


async def ask(url: str, rate: float, seconds: float) -> Rate:
    """Ask for one image `rate` times a second for `seconds`."""
    latencies: list[float] = []
    failed = 0
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        began = time.perf_counter()

        async def one(index: int) -> None:
            nonlocal failed
            due = began + index / rate
            await asyncio.sleep(due - time.perf_counter())
            body = {"label": index % 10, "seed": index, "scale": 1}
            try:
                async with session.post(f"{url}/v1/samples", json=body) as answer:
                    await answer.read()
                    if answer.status == 200:
                        latencies.append(time.perf_counter() - due)
                    else:
                        failed += 1
            except (aiohttp.ClientError, TimeoutError):
                failed += 1

        await asyncio.gather(*(one(k) for k in range(round(rate * seconds))))
        took = max(seconds, time.perf_counter() - began)
    return Rate(rate, np.array(latencies), failed, took)


def write_stack(path: Path, architecture: str) -> None:
    """The authors' nets with their first weights."""
    image, encoder, z_dims = STACKS[architecture]
    config = StackConfig(image, encoder, tuple(LevelConfig(z_dim=dim) for dim in z_dims))
    save_stack(path, Stack(config), {})


def start(weights: Path) -> tuple[subprocess.Popen[str], str]:
    """`sgan serve` of a file, and its address."""
    command = [sys.executable, "-m", "pipeline", "serve", "--port", "0", "--weights", str(weights)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    if " on http" not in line:
        raise SystemExit(f"the server did not start: {line}")
    return process, line.split(" on ")[1].split()[0]


def main(argv: Sequence[str] | None = None) -> list[Rate]:
    """Print the table, and whether the goal was met; returns its rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--architecture", choices=STACKS, default="mnist")
    parser.add_argument("--weights", type=Path, help="a trained stack instead")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="requests a second")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each rate")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        weights = arguments.weights or Path(folder) / "stack.safetensors"
        if arguments.weights is None:
            write_stack(weights, arguments.architecture)
        process, url = start(weights)
        try:
            rows = _measure(url, arguments.rates, arguments.seconds)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    if arguments.json:
        told = [
            {"rate": r.rate, "failed": r.failed, "latencies_s": r.latencies.round(5).tolist()}
            for r in rows
        ]
        arguments.json.write_text(json.dumps(told))
    return rows


def _measure(url: str, rates: list[float], seconds: float) -> list[Rate]:
    asyncio.run(ask(url, 10, 2))  # the first requests find caches cold
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f} before; milliseconds from when each was due")
    print(f"{'asked/s':>8} {'answered/s':>10} {'p50':>9} {'p95':>9} {'p99':>9} {'failed':>7}")
    rows = []
    for rate in rates:
        rows.append(asyncio.run(ask(url, rate, seconds)))
        print(rows[-1].text(), flush=True)
        if rows[-1].rate == GOAL_RATE:
            met = "met" if rows[-1].p95 < GOAL_S else "MISSED"
            print(f"         goal: p95 under {GOAL_S * 1000:.0f} ms at {GOAL_RATE}/s: {met}")
        if rows[-1].broke:
            break
    return rows


if __name__ == "__main__":
    main()
