"""The example that README shows runs as it stands, at a tiny size, and draws its grid."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


def test_the_example_trains_and_draws_a_grid(mnist_small: Path, tmp_path: Path) -> None:
    images = gzip.decompress((mnist_small / "train-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((mnist_small / "train-labels-idx1-ubyte.gz").read_bytes())
    x = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
    y = np.frombuffer(labels, np.uint8, offset=8)
    np.savez(tmp_path / "small.npz", x=x[::4], y=y[::4])  # E is run on all of them
    command = [sys.executable, "examples/own_loop.py", str(tmp_path / "small.npz")]
    command += [str(tmp_path / "samples.png"), "200"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert [line.split(":")[0] for line in said] == ["E", "level 0", "level 1", "joint"]
    assert "level0/loss_g_cond" in said[1] and "level1/loss_g_cond" in said[3]
    grid = np.asarray(Image.open(tmp_path / "samples.png"))
    assert grid.shape == (280, 280)
    tiles = grid.reshape(10, 28, 10, 28).transpose(0, 2, 1, 3).reshape(100, -1)
    assert len(np.unique(tiles, axis=0)) == 100
