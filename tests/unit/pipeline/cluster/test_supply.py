"""Where inputs go by size, what is checked on arrival. By Ray: tests/integration/test_nodes.py."""

import hashlib
from pathlib import Path

import pytest

from pipeline.cluster.supply import Bundle, Supply, copied, opened
from pipeline.data import opening
from pipeline.errors import UserError
from pipeline.storage.store import Storage


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Bundle:
    path = tmp_path / "data"
    path.mkdir()
    for name in ("list", "a.tar", "b.tar"):
        (path / name).write_text(name * 10)
    return Bundle(path, sha256(path / "list"), ("list", "a.tar", "b.tar"))


@pytest.fixture
def file(tmp_path: Path) -> Bundle:
    path = tmp_path / "e.safetensors"
    path.write_bytes(b"weights")
    return Bundle(path, sha256(path))


def supply(tmp_path: Path, everywhere: bool, limit: int = 0) -> Supply:
    return Supply(limit, Storage(tmp_path / "runs"), lambda bundle: everywhere)


def test_a_bundle_knows_its_files_its_size_and_its_address(folder: Bundle, file: Bundle) -> None:
    assert list(folder.files) == [f"{folder.digest}/{name}" for name in folder.names]
    assert (folder.bytes, file.bytes) == (140, 7)
    assert folder.below("s3://b/inputs") == f"s3://b/inputs/{folder.digest}"
    assert file.below("s3://b/inputs") == f"s3://b/inputs/{file.digest}/e.safetensors"


def test_a_missing_file_is_told(folder: Bundle) -> None:
    (folder.path / "b.tar").unlink()
    with pytest.raises(UserError, match=r"data/b\.tar does not exist; `dvc repro` makes it"):
        folder.bytes  # noqa: B018


def test_above_the_limit_a_path_that_every_node_has_will_do(tmp_path: Path, folder: Bundle) -> None:
    sent = supply(tmp_path, everywhere=True)
    sent.send([folder, folder])
    assert sent.address(folder) == str(folder.path)
    assert sent.objects([folder]) == {}


def test_above_the_limit_with_no_other_way_is_refused(tmp_path: Path, folder: Bundle) -> None:
    with pytest.raises(UserError, match=r"data \(1\.4e-07 GB\) does not fit .*object_limit.*S3"):
        supply(tmp_path, everywhere=False).send([folder])


def test_an_address_that_was_not_sent_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_openers", {})
    with opened({}), pytest.raises(FileNotFoundError, match="was not sent to this worker"):
        opening.open_bytes("object://digest/name")


def test_a_copy_has_the_digest_of_its_address(tmp_path: Path, file: Bundle) -> None:
    root = tmp_path / "elsewhere"
    lies = root / file.digest / "e.safetensors"
    lies.parent.mkdir(parents=True)
    lies.write_bytes(b"weights")
    assert copied(str(lies), tmp_path / "copies").read_bytes() == b"weights"
    lies.write_bytes(b"others'")
    with pytest.raises(UserError, match="which is not the one in its address"):
        copied(str(lies), tmp_path / "copies2")
    assert list((tmp_path / "copies2").rglob("*.safetensors")) == []
