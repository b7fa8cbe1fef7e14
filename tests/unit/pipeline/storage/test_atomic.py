"""Files that appear whole or not at all."""

import errno
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.storage.atomic import TEMPORARY_PREFIX, atomic_path, write_bytes, write_json


def test_the_file_is_there_only_when_the_block_has_ended(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "file"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"new")
        assert not target.exists()
        assert temporary.parent == target.parent, "a rename must not cross file systems"
        assert temporary.name.startswith(TEMPORARY_PREFIX)
    assert target.read_bytes() == b"new"
    assert os.listdir(target.parent) == ["file"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_was_there_stays_when_the_block_breaks_off(
    tmp_path: Path, error: type[BaseException]
) -> None:
    write_bytes(tmp_path / "file", b"old")
    with pytest.raises(error), atomic_path(tmp_path / "file") as temporary:
        temporary.write_bytes(b"half of the n")
        raise error
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_is_told_with_the_file_and_leaves_what_was_there(
    tmp_path: Path, small_files: Callable[[int], None]
) -> None:
    write_bytes(tmp_path / "file", b"old")
    small_files(1000)
    with pytest.raises(UserError) as told:
        write_bytes(tmp_path / "file", bytes(2000))
    message = str(told.value)
    assert message.startswith(f"{tmp_path / 'file'} cannot be written: File too large (")
    assert "MB are free on that disk, 0.0 MB are needed). Make room there" in message
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("there", "told"),
    [
        ("a", r"/a is a file, where a folder belongs\. Move it away, and run again"),
        ("a/b", r"/a/b is a file, where a folder belongs\. Move it away, and run again"),
        ("a/b/file/inner", r"a folder lies where a file belongs\. Move it away, and run again"),
    ],
)
def test_what_lies_in_the_way_is_named_and_stays(tmp_path: Path, there: str, told: str) -> None:
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / there).write_bytes(b"theirs")
    with pytest.raises(UserError, match=rf"^{tmp_path}/a/b/file cannot be written: .*{told}"):
        write_bytes(tmp_path / "a" / "b" / "file", b"new")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / there]


def test_a_folder_that_may_not_be_written_is_told_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    mount = ["mount", "--bind", "-o", "ro", str(tmp_path), str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a folder that may not be written")
    try:
        with pytest.raises(UserError) as told:
            write_bytes(tmp_path / "file", b"new")
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
    start = f"{tmp_path}/file cannot be written: Read-only file system. Mend the rights there"
    assert str(told.value).startswith(start)
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_writer_s_own_name_is_the_one_that_is_told(tmp_path: Path) -> None:
    """Of a file that is made beside its place by `write_bytes`, and then linked there."""
    beside = tmp_path / f"{TEMPORARY_PREFIX}{'0' * 32}-lease.json"
    beside.mkdir()
    with pytest.raises(UserError, match=rf"^{tmp_path}/lease\.json cannot be written: a folder"):
        write_bytes(beside, b"new")


def test_an_error_about_another_file_is_not_blamed_on_this_one(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), atomic_path(tmp_path / "file"):
        raise PermissionError(errno.EACCES, "Permission denied", "/somewhere/else")


def test_a_block_that_wrote_nothing_is_an_error_and_replaces_nothing(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"old")
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_bytes() == b"old"


def test_two_writers_of_one_file_do_not_share_a_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / "file"
    with atomic_path(target) as first, atomic_path(target) as second:
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert target.read_bytes() == b"first", "the last to end wins, whole"
    assert os.listdir(tmp_path) == ["file"]


def test_a_reader_with_the_old_file_open_reads_on(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"old")
    with open(tmp_path / "file", "rb") as reader:
        write_bytes(tmp_path / "file", b"new")
        assert reader.read() == b"old"


def test_json_is_for_a_person_too(tmp_path: Path) -> None:
    value = {"loss": 0.5, "classes": ["a", "b"], "none": None}
    write_json(tmp_path / "m.json", value)
    text = (tmp_path / "m.json").read_text()
    assert json.loads(text) == value
    assert text.startswith('{\n  "loss": 0.5,') and text.endswith("}\n")


def test_what_is_no_json_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "m.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "m.json", {"path": tmp_path})
    assert json.loads((tmp_path / "m.json").read_text()) == 1
