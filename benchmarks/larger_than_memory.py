"""Memory and time of a set that is larger than memory: prepared, encoded, streamed.

    python -m benchmarks.larger_than_memory                       # 0.2 GB, as an .npz
    python -m benchmarks.larger_than_memory --gigabytes 4 --forms npz folder shards --folder /tmp/x

Random colour images of 64 pixels are written to FOLDER (and removed from it), then each step runs
in a process of its own, whose peak of memory that is its own (neither shared nor a file's) is told
beside that of a process that has only imported what it needs. `folder` holds JPEG files, `shards`
are our own. The encoder is as narrow as can be: its time is no measure of a real one's.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SIDE, CLASSES, PIECE = 64, 10, 1000
FORMS = ("npz", "folder", "shards")
STEPS = ("imports", "prepare", "features", "stream")
_CHILD = "--child"


def make(form: str, rows: int, folder: Path) -> Path:
    """Write `rows` images in one of FORMS below `folder`, a piece in memory at a time."""
    rng = np.random.default_rng(0)
    source = folder / ("set.npz" if form == "npz" else "set")
    labels = np.arange(rows) % CLASSES
    if form == "npz":
        with zipfile.ZipFile(source, "w", allowZip64=True) as archive:
            with archive.open("images.npy", "w", force_zip64=True) as file:
                head = {"descr": "|u1", "fortran_order": False, "shape": (rows, SIDE, SIDE, 3)}
                np.lib.format.write_array_header_1_0(file, head)
                for start in range(0, rows, PIECE):
                    file.write(rng.bytes(min(PIECE, rows - start) * SIDE * SIDE * 3))
            with archive.open("labels.npy", "w") as file:
                np.lib.format.write_array(file, labels)
    elif form == "folder":
        from PIL import Image

        for row, label in enumerate(labels):
            path = source / str(label) / f"{row:07d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
            small.resize((SIDE, SIDE)).save(path)
    else:
        from webdataset.writer import TarWriter

        source.mkdir()
        for start in range(0, rows, PIECE):
            stop = min(start + PIECE, rows)
            images = rng.integers(0, 256, (stop - start, SIDE, SIDE, 3), np.uint8)
            blocks = {"x.npy": _npy(images), "y.npy": _npy(labels[start:stop])}
            with TarWriter(str(source / f"{start:09d}.tar"), encoder=False) as tar:
                tar.write({"__key__": f"{start:09d}", **blocks})
    return source


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def run(step: str, source: Path, folder: Path) -> dict[str, Any]:
    """One step in a process of its own: its seconds and the peak of its memory in MB."""
    command = [sys.executable, "-m", "benchmarks.larger_than_memory", _CHILD, step]
    done = subprocess.run(
        [*command, str(source), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(
    form: str, rows: int, folder: Path, steps: Sequence[str] = STEPS
) -> Iterator[dict[str, Any]]:
    """Some steps on a set of `rows` images, one after the other; what was written is removed."""
    with tempfile.TemporaryDirectory(dir=folder) as inside:
        source, target = make(form, rows, Path(inside)), Path(inside)
        for step in steps:
            yield {"form": form, "step": step, **run(step, source, target)}


def _child(step: str, source: Path, folder: Path) -> None:
    import os

    import torch

    from pipeline.data import shard_writer, shards, sources
    from pipeline.data.encoding import encode_split
    from pipeline.params.settings import DataConfig
    from sgan.config import EncoderConfig, ImageConfig
    from sgan.encoder import Encoder

    os.environ["SGAN_CACHE"] = str(folder / "cache")
    torch.set_num_threads(1)
    peak, data, images = Peak(), folder / "data", 0
    began = time.monotonic()
    if step == "prepare":
        settings = DataConfig("custom", str(source), shard_images=1000, block_images=100)
        dataset, provenance = sources.load(settings)
        shard_writer.write(dataset, data, settings, provenance)
        images = len(dataset.train_labels) + len(dataset.test_labels)
    elif step == "features":
        config = EncoderConfig("pyramid", ("conv2", "fc"), width=4)
        encoder = Encoder(ImageConfig(3, SIDE, SIDE, CLASSES), config).freeze()
        images = encode_split(encoder, data, folder / "features.arrow", {})[1]
    elif step == "stream":
        images = shards.Manifest.load(data).rows("train") // 100 * 100
        for _ in shards.stream(
            data, "train", window=16, seed=0, batch_size=100, stop=images // 100
        ):
            pass
    seconds = round(time.monotonic() - began, 2)
    print(json.dumps({"seconds": seconds, "images": images, "megabytes": peak.megabytes()}))


class Peak(threading.Thread):
    """Watches what memory this process has of its own (RssAnon of /proc/self/status)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._peak = 0
        self.start()

    def run(self) -> None:
        while True:
            self._peak = max(self._peak, self._now())
            time.sleep(0.005)

    @staticmethod
    def _now() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

    def megabytes(self) -> int:
        return max(self._peak, self._now()) // 1024


def main(argv: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Prints a row per form and step; returns them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=0.2, help="of decoded images")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=["npz"])
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args(argv)
    rows = int(arguments.gigabytes * 1e9 / (SIDE * SIDE * 3))
    print(f"{rows:,} images of {SIDE}x{SIDE}x3, {arguments.gigabytes:g} GB")
    print(f"{'form':8}{'step':10}{'seconds':>9}{'images/s':>10}{'peak MB':>9}")
    found = []
    for form in arguments.forms:
        for row in measure(form, rows, arguments.folder, arguments.steps):
            speed = round(row["images"] / max(row["seconds"], 0.01))
            print(
                f"{row['form']:8}{row['step']:10}{row['seconds']:9}{speed:10,}{row['megabytes']:9}",
                flush=True,
            )
            found.append(row)
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == [_CHILD]:
        _child(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main()
