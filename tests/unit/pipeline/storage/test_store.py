import os
import pickle
import stat
import threading
import time

import pytest

from pipeline.errors import UserError
from pipeline.storage.store import Storage


@pytest.fixture
def storage(tmp_path):
    return Storage(tmp_path / "store")


def put(storage, key, content, tmp_path):
    (tmp_path / "local").write_bytes(content)
    storage.put_file(tmp_path / "local", key)


def test_put_get_exists_list_delete(storage, tmp_path):
    for key in ("levels/level0/k1/a.bin", "levels/level0/k1/b/c.bin", "levels/level10/k2/a.bin"):
        assert not storage.exists(key)
        put(storage, key, key.encode(), tmp_path)
        assert storage.exists(key)
    storage.get_file("levels/level0/k1/a.bin", tmp_path / "new" / "copy")
    assert (tmp_path / "new" / "copy").read_bytes() == b"levels/level0/k1/a.bin"
    assert storage.list("levels/level0") == ["levels/level0/k1/a.bin", "levels/level0/k1/b/c.bin"]
    assert storage.list("levels/level1") == [], "a prefix is a folder, not the start of a name"
    assert len(storage.list()) == 3
    storage.delete("levels/level0/k1/a.bin")
    storage.delete("levels/level0/k1/a.bin")
    assert storage.list("levels/level0") == ["levels/level0/k1/b/c.bin"]
    assert not storage.exists("levels"), "a folder is not a file"


def test_missing_key(storage, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing does not exist"):
        storage.get_file("nothing", tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        storage.read_json("nothing")
    assert not (tmp_path / "x").exists() and storage.list("nothing") == []


def test_failed_put_leaves_the_old_content(storage, tmp_path):
    put(storage, "a", b"old", tmp_path)
    with pytest.raises(FileNotFoundError):
        storage.put_file(tmp_path / "no such file", "a")
    storage.get_file("a", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"old" and storage.list() == ["a"]


def test_json(storage, tmp_path):
    storage.write_json("a/state.json", {"step": 3, "done": False})
    assert storage.read_json("a/state.json") == {"step": 3, "done": False}
    put(storage, "a/state.json", b'{"step":', tmp_path)
    with pytest.raises(UserError, match=r"a/state\.json is not valid JSON"):
        storage.read_json("a/state.json")


def test_readers_never_see_a_part(storage, tmp_path):
    """One thread replaces a file of equal bytes over and over while another reads it."""
    size = 1 << 20
    sources = []
    for value in (b"a", b"b"):
        path = tmp_path / value.decode()
        path.write_bytes(value * size)
        sources.append(path)
    storage.put_file(sources[0], "k")
    stop = threading.Event()

    def rewrite():
        while not stop.is_set():
            for path in sources:
                storage.put_file(path, "k")

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        seen = set()
        for number in range(60):
            storage.get_file("k", tmp_path / f"got{number}")
            content = (tmp_path / f"got{number}").read_bytes()
            assert len(content) == size and len(set(content)) == 1
            seen |= set(content)
            assert storage.list() == ["k"]
    finally:
        stop.set()
        writer.join()


def test_what_killed_writers_left_is_swept_after_a_day(storage, tmp_path):
    put(storage, "a/k", b"1", tmp_path)
    storage.replace_if("a/k", b"2", storage.read("a/k")[1])  # leaves a lock
    folder, name = tmp_path / "store" / "a", f".tmp-{'0123' * 8}-k"
    for path in (folder / name, folder / f"{name}-of-today", folder / ".tmp-mine"):
        path.write_bytes(b"half")
    old = time.time() - 25 * 3600
    for path in (folder / name, folder / ".tmp-mine", folder / "k", folder.parent / ".tmp-lock"):
        os.utime(path, (old, old))
    storage.sweep()
    left = sorted(path.name for path in folder.parent.rglob("*") if path.is_file())
    assert left == sorted([f"{name}-of-today", ".tmp-mine", "k", ".tmp-lock"])


def test_files_have_ordinary_permissions(storage, tmp_path):
    put(storage, "k", b"1", tmp_path)
    mask = os.umask(0)
    os.umask(mask)
    mode = stat.S_IMODE((tmp_path / "store" / "k").stat().st_mode)
    assert mode == 0o666 & ~mask


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../out", "a/../../out"])
def test_keys_that_leave_the_storage(storage, key):
    with pytest.raises(UserError, match=r"must be a relative path without '\.\.'"):
        storage.write_json(key, 1)


def test_addresses(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert Storage(".runs").uri == str(tmp_path / ".runs")
    assert Storage((tmp_path / "a b").as_uri()).uri == str(tmp_path / "a b")
    assert Storage("s3://bucket/prefix/").uri == "s3://bucket/prefix"
    with pytest.raises(UserError, match="unknown scheme 'gs'"):
        Storage("gs://bucket")
    with pytest.raises(UserError, match="write s3://bucket/key"):
        Storage("s3:///key")


def test_storage_can_be_sent_to_workers(storage):
    storage.write_json("k", 1)
    assert pickle.loads(pickle.dumps(storage)).read_json("k") == 1
