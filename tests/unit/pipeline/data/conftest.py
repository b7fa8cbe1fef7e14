"""Settings, images and a real HTTP server for the tests of the data layer."""

import functools
import http.server
import io
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@dataclass(frozen=True)
class Settings:
    """A DataSettings with the defaults of params.yaml."""

    name: str = "custom"
    source: str | None = None
    format: str = "auto"
    image_size: int | None = None
    on_bad_image: str = "error"
    test_fraction: float = 0.1
    sha256: dict[str, str] | None = None
    shard_images: int = 5000
    block_images: int = 500
    max_train: int | None = None
    max_test: int | None = None


@pytest.fixture
def settings():
    return Settings


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SGAN_CACHE", str(cache))
    return cache


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


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def serve():
    """Start a real HTTP server on 127.0.0.1: ``serve(folder)`` or ``serve(handler=...)``."""
    running = []

    def start(folder: Path | None = None, handler=None) -> str:
        chosen = handler or functools.partial(_Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), chosen)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        running.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()
