"""The actor's own work, without Ray; through Ray: tests/integration/test_nodes.py."""

import hashlib
from pathlib import Path

import pytest

from pipeline.cluster import driver_disk
from pipeline.cluster.driver_disk import Keeper
from pipeline.storage.atomic import TEMPORARY_PREFIX

KEY = "level0/abc/weights.safetensors"


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(str(tmp_path))


def upload(keeper: Keeper, content: bytes, name: str = "one") -> bool:
    for start in range(0, len(content), 4):
        keeper.take(name, start, content[start : start + 4])
    return keeper.commit(name, KEY, hashlib.sha256(content).hexdigest())


def test_pieces_become_a_file_when_all_are_there(keeper: Keeper, tmp_path: Path) -> None:
    keeper.take("one", 0, b"four")
    assert keeper.list("") == [] and not keeper.exists(KEY)
    assert upload(keeper, b"four and more")
    assert (tmp_path / KEY).read_bytes() == b"four and more"
    assert keeper.list("level0") == [KEY]
    assert keeper.size(KEY) == 13


def test_any_call_may_be_repeated(keeper: Keeper, tmp_path: Path) -> None:
    """Ray repeats those whose answer was lost with the actor."""
    digest = hashlib.sha256(b"1234").hexdigest()
    for _ in range(2):
        keeper.take("one", 0, b"1234")
    for _ in range(2):
        assert keeper.commit("one", KEY, digest)
    for _ in range(2):
        assert keeper.create("lease", b"mine")
        assert keeper.replace_if("lease", b"mine", hashlib.sha256(b"mine").hexdigest())
    assert not keeper.create("lease", b"another's")
    assert not keeper.replace_if("lease", b"another's", "0")
    for _ in range(2):
        keeper.delete(KEY)
    assert keeper.list("") == ["lease"]


def test_what_arrived_otherwise_is_not_kept(keeper: Keeper, tmp_path: Path) -> None:
    assert upload(keeper, b"the old")
    keeper.take("two", 0, b"damaged")
    assert not keeper.commit("two", KEY, hashlib.sha256(b"the new").hexdigest())
    keeper.drop("two")
    assert (tmp_path / KEY).read_bytes() == b"the old"
    assert not list(tmp_path.glob(f"{TEMPORARY_PREFIX}*"))


def test_reading_in_pieces(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_disk, "CHUNK", 4)
    upload(keeper, b"four and more")
    pieces = [keeper.piece(KEY, start) for start in range(0, 13, 4)]
    assert b"".join(pieces) == b"four and more"
    assert keeper.version(KEY) == hashlib.sha256(b"four and more").hexdigest()
    with pytest.raises(FileNotFoundError):
        keeper.size("none")
    assert keeper.sees(KEY) and not keeper.sees("none")
