"""Settings, images and a real HTTP server for the tests of the data layer."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.data import shard_writer
from pipeline.data.dataset import Dataset
from pipeline.storage import s3
from tests.sources import caches, own_cache, settings


class Objects(dict[str, bytes]):
    """What lies in any bucket, by key. asked: the key and the bytes of each read."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, int]] = []

    def list_objects(self, uri: str) -> list[s3.S3Object]:
        tags = {key: hashlib.md5(content).hexdigest() for key, content in self.items()}
        found = sorted(key for key in self if key.startswith(s3.parse(uri)[1]))
        return [s3.S3Object(key, len(self[key]), tags[key]) for key in found]

    def get_file(self, uri: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self[s3.parse(uri)[1]])

    def client(self) -> "Objects":
        return self

    def get_object(self, **request: str) -> dict[str, Any]:
        first, last = request["Range"].removeprefix("bytes=").split("-")
        content = self[request["Key"]][int(first) : int(last) + 1]
        self.asked.append((request["Key"], len(content)))
        return {"Body": io.BytesIO(content)}


@pytest.fixture
def objects(monkeypatch) -> Objects:
    """An S3 that holds what is put into it, without a server."""
    made = Objects()
    for name in ("list_objects", "get_file", "client"):
        monkeypatch.setattr(s3, name, getattr(made, name))
    return made


def encode(pixels: np.ndarray, form: str = "PNG") -> bytes:
    """uint8 [H, W] or [H, W, 3] as the bytes of an image file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


@pytest.fixture
def encoded():
    return encode


@pytest.fixture
def image_folder(tmp_path):
    """A folder per class: cats get values 10, 11, …; dogs 100, 101, …; 8x8 grey PNG."""
    root = tmp_path / "images"
    for first, name in ((10, "cat"), (100, "dog")):
        (root / name).mkdir(parents=True)
        for number in range(6):
            pixels = np.full((8, 8), first + number, np.uint8)
            (root / name / f"{number}.png").write_bytes(encode(pixels))
    return root


@pytest.fixture
def dataset() -> Dataset:
    """230 training and 30 test images of 6x5x3 in four classes, random."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (260, 6, 5, 3), np.uint8)
    labels = rng.integers(0, 4, 260)
    return Dataset(images[:230], labels[:230], images[230:], labels[230:], ("a", "b", "c", "d"))


@pytest.fixture
def small(settings):
    """Settings that cut `dataset` into shards of 50 and blocks of 20."""
    return settings(name="custom", shard_images=50, block_images=20)


@pytest.fixture
def written(dataset, small, tmp_path) -> Path:
    """The folder of the shards of `dataset`."""
    shard_writer.write(dataset, tmp_path / "data", small)
    return tmp_path / "data"


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    """Columns of 70 rows: a vector, a map, labels."""
    rng = np.random.default_rng(0)
    return {
        "h1": rng.normal(size=(70, 16)).astype(np.float32),
        "h2": rng.normal(size=(70, 3, 4, 5)).astype(np.float32),
        "y": rng.integers(0, 10, 70),
    }
