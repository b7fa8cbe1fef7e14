"""What every place for bytes does: the same tests on a folder and on a prefix of an S3 server."""

import pickle
import threading
from pathlib import Path

import pytest

from pipeline.storage.backend import Backend
from pipeline.storage.folder import Folder
from pipeline.storage.prefix import Prefix


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "folder":
        return Folder(tmp_path / "store")
    return Prefix(f"s3://{request.getfixturevalue('bucket')}/runs")


def test_what_was_written_is_read_with_a_version(place: Backend) -> None:
    place.write("a/b", b"one")
    content, version = place.read("a/b")
    assert content == b"one"
    assert place.read("a/b") == (content, version)
    place.write("a/b", b"two")
    assert place.read("a/b")[0] == b"two"
    assert place.read("a/b")[1] != version


def test_only_the_first_creates(place: Backend) -> None:
    assert place.create("a/b", b"first")
    assert not place.create("a/b", b"second")
    assert place.read("a/b")[0] == b"first"
    assert place.list("") == ["a/b"]


def test_only_a_version_that_is_still_there_is_replaced(place: Backend) -> None:
    assert not place.replace_if("a/b", b"new", "of nothing")
    place.write("a/b", b"one")
    _, version = place.read("a/b")
    assert place.replace_if("a/b", b"two", version)
    assert not place.replace_if("a/b", b"three", version)
    assert place.read("a/b")[0] == b"two"
    assert place.list("") == ["a/b"]
    place.delete("a/b")
    assert not place.replace_if("a/b", b"four", version)
    assert not place.exists("a/b")


def test_listing_is_by_folder_and_deleting_twice_is_fine(place: Backend) -> None:
    for key in ("a/1", "a/c/2", "ab/3"):
        place.write(key, b"x")
    assert place.list("a") == ["a/1", "a/c/2"]
    assert place.list("") == ["a/1", "a/c/2", "ab/3"]
    place.delete("a/1")
    place.delete("a/1")
    assert place.list("a") == ["a/c/2"]
    assert not place.exists("a/1") and not place.exists("a")


def test_what_is_not_there_is_named(place: Backend) -> None:
    with pytest.raises(FileNotFoundError, match=r"(runs|store)/none does not exist"):
        place.read("none")


def test_it_can_be_sent_to_workers(place: Backend) -> None:
    place.write("a", b"x")
    assert pickle.loads(pickle.dumps(place)).read("a")[0] == b"x"


def test_of_many_that_replace_one_version_one_succeeds(tmp_path: Path) -> None:
    """On a folder only: the S3 server of the tests compares and stores in two steps."""
    place = Folder(tmp_path)
    place.write("a", b"0")
    _, version = place.read("a")
    done: list[int] = []
    start = threading.Barrier(8)

    def replace(number: int) -> None:
        start.wait()
        if Folder(tmp_path).replace_if("a", str(number).encode(), version):
            done.append(number)

    threads = [threading.Thread(target=replace, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [str(number).encode() for number in done] == [place.read("a")[0]]
