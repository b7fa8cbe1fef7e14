"""An errand done here, and how files and progress come back from elsewhere.

On a cluster: tests/integration/test_nodes.py.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pipeline.cluster import errand
from pipeline.cluster.errand import Errand, run_here
from pipeline.cluster.supply import Bundle
from pipeline.errors import UserError


def work(inputs, out, told, *, word):
    told("work", 1, 1)
    (out / "a.txt").write_text(Path(inputs["file"]).read_text() + word)
    return torch.get_num_threads()


def test_here_it_reads_and_writes_where_the_files_are(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("one ")
    before, said = torch.get_num_threads(), []
    task = Errand("task", work, {"word": "two"}, threads=2)
    inputs = {"file": Bundle(tmp_path / "in", "digest")}
    assert run_here(task, inputs, tmp_path, lambda *one: said.append(one)) == 2
    assert torch.get_num_threads() == before
    assert said == [("work", 1, 1)]
    assert (tmp_path / "a.txt").read_text() == "one two"


def test_files_come_back_in_pieces_and_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errand, "_CHUNK", 4)
    (tmp_path / "there").mkdir()
    contents = {"a": b"123456789", "b": b"", "c": b"four"}
    for name, content in contents.items():
        (tmp_path / "there" / name).write_bytes(content)
    here = errand._Arriving(tmp_path / "here")
    for kind, *rest in errand._files(tmp_path / "there"):
        (here.take if kind == "bytes" else here.end)(*rest)
    here.close()
    assert {p.name: p.read_bytes() for p in (tmp_path / "here").iterdir()} == contents


@pytest.mark.parametrize(("name", "digest"), [("a", "0" * 64), ("../a", None), ("/tmp/a", None)])
def test_other_bytes_or_another_place_are_refused(tmp_path: Path, name: str, digest) -> None:
    import hashlib

    here = errand._Arriving(tmp_path / "here")
    here.take(b"bytes")
    with pytest.raises(UserError, match="not those that were written"):
        here.end(name, digest or hashlib.sha256(b"bytes").hexdigest())
    here.close()
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


def test_a_full_disk_here_is_told_with_the_folder(
    tmp_path: Path, small_files: Callable[[int], None]
) -> None:
    here = errand._Arriving(tmp_path / "here")
    small_files(4)
    with pytest.raises(UserError, match=rf"^{tmp_path}/here cannot be written: File too large"):
        here.take(b"bytes")


def test_progress_is_told_at_times_and_a_step_s_end_always() -> None:
    said = errand._Said()
    for done in range(1, 101):
        said.told("judge", done, 100)
    said.told("levels", 0, 0)
    told = [said.queue.get() for _ in range(said.queue.qsize())]
    assert told[0] == ("told", "judge", 1, 100)
    assert told[-2:] == [("told", "judge", 100, 100), ("told", "levels", 0, 0)]
    assert len(told) < 10
