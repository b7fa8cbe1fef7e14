"""Trees of small images, and what a survey says of them."""

import io
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data.survey.description import Description, Plan
from pipeline.data.survey.surveying import surveyed

PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0:~\x9bU\0\0\0\nIDATx\x9cc`\0\0\0"
    b"\2\0\1H\xaf\xa4q\0\0\0\0IEND\xaeB`\x82"
)


@pytest.fixture
def grow(tmp_path: Path):
    """`grow("cat/0.png", …)`: a folder with these files; others than images hold a word."""

    def made(*names: str, root: str = "set", **counted: int) -> Path:
        folder = tmp_path / root
        folder.mkdir(exist_ok=True)
        every = list(names)
        for name, count in counted.items():
            every += [f"{name.replace('__', '/')}/{n}.png" for n in range(count)]
        for name in every:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(PNG if path.suffix in (".png", "") else b"word")
        return folder

    return made


@pytest.fixture
def look(settings):
    """`look(path, …)`: the survey's description."""

    def described(path: Path, **choices) -> Description:
        with surveyed(path, settings(**choices)) as found:
            return found.description

    return described


@pytest.fixture
def plan(settings):
    """`plan(path, …)`: the survey's plan."""

    def planned(path: Path, **choices) -> Plan:
        with surveyed(path, settings(**choices)) as found:
            return found.plan

    return planned


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


@pytest.fixture
def zipped():
    """`zipped(path, names)`: a zip with these members."""

    def made(path: Path, names: list[str]) -> Path:
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(zipfile.ZipInfo(name), b"content")
        return path

    return made
