"""What only a process of its own can show: its memory."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import feature_writer

pytestmark = pytest.mark.integration


COUNT = """
import resource, torch
from pipeline.memory import keep_freed

def step():
    maps = [torch.ones(size) for size in range(20_000, 300_000, 1_000)]

def faults():
    for _ in range(4):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = faults()
assert keep_freed()
print(usual, faults())
"""


def test_pages_are_taken_once() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run([sys.executable, "-c", COUNT], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    usual, kept = map(int, done.stdout.split())
    assert kept < usual / 10


def test_read_maps_the_file_without_a_copy(tmp_path: Path) -> None:
    """A tensor of 64 MB costs no memory of its own until it is used."""
    path = tmp_path / "big.arrow"
    feature_writer.write(path, {"h": np.zeros((16_000, 1000), np.float32)})
    program = f"""
import resource, torch
from pipeline.data import feature_writer, features, opening
features.read({str(path)!r}, "h")[0].sum()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
kept = features.read({str(path)!r}, "h")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, kept[15_999].sum().item())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    grown_kib, last_row = done.stdout.split()
    assert int(grown_kib) < 20_000 and float(last_row) == 0
