"""The real MNIST subset as arrays, and a judge trained on it once per session."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from pipeline.evaluation.indomain import RealImages
from pipeline.evaluation.judge import Judge, train_judge

CLASSES = tuple("0123456789")


@pytest.fixture(scope="session")
def real(mnist_small: Path) -> RealImages:
    """2,000 training and 500 test images of the real MNIST, equally many of each digit."""

    def read(name: str, offset: int) -> np.ndarray:
        content = gzip.decompress((mnist_small / f"{name}.gz").read_bytes())
        return np.frombuffer(content, np.uint8, offset=offset)

    def images(split: str) -> np.ndarray:
        return read(f"{split}-images-idx3-ubyte", 16).reshape(-1, 28, 28, 1)

    def labels(split: str) -> np.ndarray:
        return read(f"{split}-labels-idx1-ubyte", 8).astype(np.int64)

    return RealImages(
        images("train"), labels("train"), images("t10k"), labels("t10k"), CLASSES, "mnist-small"
    )


@pytest.fixture(scope="session")
def judge(real: RealImages) -> Judge:
    """A judge with about 96.5 % test accuracy."""
    return train_judge(real.train_images, real.train_labels, num_classes=10, epochs=4, batch=50)
