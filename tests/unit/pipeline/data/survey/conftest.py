"""Trees of small images, and what a survey says of them."""

import zipfile
from pathlib import Path

import pytest

from pipeline.data.survey.description import Description, Plan
from pipeline.data.survey.surveying import surveyed
from tests.sources import PNG, made


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


@pytest.fixture
def zipped():
    """`zipped(path, names)`: a zip with these members."""

    def made(path: Path, names: list[str]) -> Path:
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(zipfile.ZipInfo(name), b"content")
        return path

    return made
