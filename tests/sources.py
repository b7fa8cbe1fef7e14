"""Fixtures of sources: settings, a cache of their own, and how a shard and a table are made."""

import io
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data.survey.description import Description

PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0:~\x9bU\0\0\0\nIDATx\x9cc`\0\0\0"
    b"\2\0\1H\xaf\xa4q\0\0\0\0IEND\xaeB`\x82"
)


@dataclass(frozen=True)
class Settings:
    """A DataSettings with the defaults of params.yaml."""

    name: str = "custom"
    source: str | None = None
    format: str = "auto"
    splits: dict[str, list[str]] | None = None
    classes: list[str] | None = None
    names_encoding: str | None = None
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


@pytest.fixture(scope="session")
def caches(tmp_path_factory) -> Path:
    """Apart from pytest's numbered folders, all of which are looked through for each new one."""
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(autouse=True)
def own_cache(caches, monkeypatch) -> Path:
    cache = Path(tempfile.mkdtemp(dir=caches))
    monkeypatch.setenv("SGAN_CACHE", str(cache))
    return cache


def roles(description: Description) -> list[tuple[str, str, int]]:
    """(name, role, images) of the splits."""
    return [(split.name, split.role, split.images) for split in description.splits]


def write_shard(path: Path, members: Iterable[tuple[str, bytes]], mode: str = "w") -> Path:
    """A tar with these members in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def write_table(path: Path, labels: list, metadata: dict | None = None, **names: str) -> Path:
    """A Parquet file of one-pixel images with these labels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {
        names.get("image", "image"): [PNG] * len(labels),
        names.get("label", "label"): labels,
    }
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    return path


@pytest.fixture
def made():
    """The functions of this file, for tests that pytest imports without it."""

    class Made:
        roles = staticmethod(roles)
        shard = staticmethod(write_shard)
        table = staticmethod(write_table)
        png = PNG

    return Made
