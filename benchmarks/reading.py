"""What it takes to read images as people have them: a folder of small PNGs, large photos.

    python -m benchmarks.reading                        # 5,000 PNGs, 12 photos of 12 megapixels
    python -m benchmarks.reading --pngs 50000 --photos 100 --megapixels 3 12 48

`prepare` reads the PNGs into shards, beside the loop that a person would write with Pillow, which
decodes the same files and keeps nothing. The photos become images of 64 pixels, and the peak of
memory that is the process's own is told, above what its imports take: it goes by one photo, not by
their number. Each measurement is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.larger_than_memory import Peak

CLASSES, SIDE, SMALL = 10, 28, 64
_CHILD = "--child"


@dataclass(frozen=True)
class Reading:
    """One process's reading of a folder.

    Attributes:
        how: "pillow", "prepare" or "imports".
        images: that it read.
        seconds: imports left out.
        megabytes: the peak of its own memory.
    """

    how: str
    images: int
    seconds: float
    megabytes: int

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / self.seconds


def pngs(folder: Path, number: int) -> None:
    """Write grey PNG files of 28 pixels that compress as digits do, in class folders."""
    y, x = np.mgrid[:SIDE, :SIDE]

    def image(row: int) -> np.ndarray:
        across, down = row % 97 % 11 - 5, row % 89 % 11 - 5
        far = np.hypot(x - SIDE / 2 - across, y - SIDE / 2 - down)
        return (255 * np.exp(-((far - 6) ** 2) / 4)).astype(np.uint8)

    _write(folder, number, image, "png")


def photos(folder: Path, number: int, megapixels: float) -> None:
    """Write square JPEG photos of so many megapixels, in class folders."""
    side = round((megapixels * 1e6) ** 0.5)
    across = np.linspace(0, 255, side, dtype=np.uint8)
    plain = np.broadcast_to(across[:, None, None], (side, side, 3)).copy()
    plain[..., 1] = across

    def image(row: int) -> np.ndarray:
        plain[: side // 4, : side // 4] = row % 256
        return plain

    _write(folder, number, image, "jpg")


def _write(folder: Path, number: int, image: Callable[[int], np.ndarray], suffix: str) -> None:
    from PIL import Image

    for row in range(number):
        path = folder / f"class{row % CLASSES}" / f"{row:07d}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image(row)).save(path)


def read(how: str, source: Path, size: int = 0) -> Reading:
    """Read a folder in a process of its own; size: `data.image_size`, 0 for the images' own."""
    command = [sys.executable, "-m", "benchmarks.reading", _CHILD, how, str(source), str(size)]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=root)
    return Reading(how, *json.loads(done.stdout.splitlines()[-1]))


def _child(how: str, source: Path, size: int) -> None:
    from PIL import Image

    from pipeline.data import shard_writer, sources
    from pipeline.params.settings import DataConfig

    peak, images = Peak(), 0
    began = time.monotonic()
    if how == "pillow":
        for path in source.rglob("*.*"):
            with Image.open(path) as image:
                np.asarray(image)
            images += 1
    elif how == "prepare":
        settings = DataConfig("custom", str(source), image_size=size or None)
        dataset, provenance = sources.load(settings)
        with tempfile.TemporaryDirectory() as folder:
            shard_writer.write(dataset, Path(folder) / "data", settings, provenance)
        images = len(dataset.train_labels) + len(dataset.test_labels)
    print(json.dumps([images, time.monotonic() - began, peak.megabytes()]))


def main(argv: Sequence[str] | None = None) -> tuple[list[Reading], dict[float, int]]:
    """Prints both tables; returns the readings of the PNGs (Pillow's, `prepare`'s), and the MB
    above the imports by the photos' megapixels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pngs", type=int, default=5_000)
    parser.add_argument("--photos", type=int, default=20, help="of each size; two a class at least")
    parser.add_argument("--megapixels", type=float, nargs="*", default=[12.0])
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        pngs(Path(folder), arguments.pngs)
        found = [read(how, Path(folder)) for how in ("pillow", "prepare")]
    for one in found:
        print(f"{one.images:,} PNGs, {one.how:8}{one.seconds:8.1f} s{one.rate:10,.0f} a second")
    own = {}
    for size in arguments.megapixels:
        with tempfile.TemporaryDirectory() as folder:
            photos(Path(folder), arguments.photos, size)
            bare = read("imports", Path(folder))
            ours = read("prepare", Path(folder), SMALL)
        own[size] = ours.megabytes - bare.megabytes
        print(f"{ours.images} photos of {size:g} MP to {SMALL} pixels: {own[size]} MB", flush=True)
    return found, own


if __name__ == "__main__":
    if sys.argv[1:2] == [_CHILD]:
        _child(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
