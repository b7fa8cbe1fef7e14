"""Cut ``mnist-small`` out of the full MNIST: the first images of each class, in their order.

Run: ``python tests/data/cut_mnist_small.py FOLDER_OF_THE_FOUR_RAW_IDX_FILES``
"""

import gzip
import struct
import sys
from pathlib import Path

import numpy as np

PER_CLASS = {"train": 200, "t10k": 50}


def cut(source: Path, target: Path) -> None:
    """Write the four gzipped IDX files of the subset to ``target``; the same bytes every time."""
    target.mkdir(parents=True, exist_ok=True)
    for split, per_class in PER_CLASS.items():
        images_name, labels_name = f"{split}-images-idx3-ubyte", f"{split}-labels-idx1-ubyte"
        labels = np.frombuffer((source / labels_name).read_bytes(), np.uint8, offset=8)
        images = np.frombuffer((source / images_name).read_bytes(), np.uint8, offset=16)
        images = images.reshape(-1, 28, 28)
        rows = np.sort(
            np.concatenate([np.flatnonzero(labels == digit)[:per_class] for digit in range(10)])
        )
        contents = {
            images_name: struct.pack(">IIII", 0x803, len(rows), 28, 28) + images[rows].tobytes(),
            labels_name: struct.pack(">II", 0x801, len(rows)) + labels[rows].tobytes(),
        }
        for name, content in contents.items():
            packed = gzip.compress(content, compresslevel=9, mtime=0)
            (target / f"{name}.gz").write_bytes(packed)


if __name__ == "__main__":
    cut(Path(sys.argv[1]), Path(__file__).parent / "mnist-small")
