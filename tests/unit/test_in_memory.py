"""Tests write in memory where there is room, and leave nothing there."""

import os
import tempfile
from pathlib import Path

import pytest

from tests.in_memory import NAME, InMemory


@pytest.fixture
def shm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", "")  # so that what is set below is undone
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_a_folder_there_is_tmpdir_and_goes_in_the_end(shm: Path) -> None:
    one = InMemory(shm, room=0, memory=0)
    assert one.folder is not None and one.folder.parent == shm
    assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(one.folder)
    one.end(keep=True)
    assert one.folder.is_dir()
    one.end(keep=False)
    assert list(shm.iterdir()) == []


def test_folders_that_nobody_holds_are_deleted(shm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = shm / f"{NAME}left"
    (left / "below").mkdir(parents=True)
    other = shm / "of-others"
    other.mkdir()
    held = InMemory(shm, room=0, memory=0)
    assert not left.exists()
    monkeypatch.delenv("TMPDIR")
    second = InMemory(shm, room=0, memory=0)
    assert set(shm.iterdir()) == {other, held.folder, second.folder}


@pytest.mark.parametrize("lacking", [{"room": 1 << 60}, {"memory": 1 << 60}, {"shm": "none"}])
def test_without_room_nothing_is_changed(shm: Path, lacking: dict) -> None:
    options = {"room": 0, "memory": 0} | lacking
    assert InMemory(shm / options.pop("shm", "."), **options).folder is None
    assert "TMPDIR" not in os.environ and list(shm.iterdir()) == []


def test_a_person_s_own_choice_stays(shm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/elsewhere")
    assert InMemory(shm, room=0, memory=0).folder is None
    assert os.environ["TMPDIR"] == "/elsewhere"
