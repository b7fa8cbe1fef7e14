"""A folder as storage: what is its own beside what every place does (test_backend.py)."""

import errno
import os
from pathlib import Path

import pytest

from pipeline.storage.backend import NoConditionalWrites
from pipeline.storage.folder import Folder


def test_a_version_is_the_contents_digest(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write("a", b"abc")
    assert folder.read("a")[1].startswith("ba7816bf8f01cfea")


def test_a_file_system_without_links_cannot_create(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(NoConditionalWrites, match="not permitted"):
        Folder(tmp_path).create("a", b"x")
    assert os.listdir(tmp_path) == []


def test_half_written_files_are_in_no_list(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write("a/b", b"x")
    (tmp_path / "a" / ".tmp-123-c").write_bytes(b"half")
    assert folder.list("") == folder.list("a") == ["a/b"]
