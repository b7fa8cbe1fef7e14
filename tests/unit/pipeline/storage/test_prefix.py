"""An S3 prefix as storage: what is its own beside what every place does (test_backend.py)."""

from pathlib import Path

import pytest

from pipeline.storage import s3
from pipeline.storage.prefix import Prefix
from pipeline.storage.store import Storage


def test_a_whole_bucket_is_a_place_too(bucket: str) -> None:
    place = Prefix(f"s3://{bucket}/")
    assert place.uri == f"s3://{bucket}"
    place.write("a/b", b"x")
    assert place.list("") == place.list("a") == ["a/b"]
    assert Prefix(f"s3://{bucket}/a").list("") == ["b"]


def test_a_large_file_is_never_whole_in_memory(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "large").write_bytes(b"large" * 1000)
    storage = Storage(f"s3://{bucket}/runs")
    with monkeypatch.context() as patch:
        patch.setattr(s3, "_ONE_REQUEST", 1000)
        patch.delattr(Path, "read_bytes")
        patch.delattr(s3, "get_versioned")
        storage.put_file(tmp_path / "large", "a")
        storage.get_file("a", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == storage.read("a")[0] == b"large" * 1000


def test_a_condition_that_the_lost_answer_fulfilled_counts(bucket: str) -> None:
    """Sent twice, as boto3 does where the first answer was lost."""
    place = Prefix(f"s3://{bucket}")
    assert place.create("a", b"mine alone")
    assert place.create("a", b"mine alone")
    _, version = place.read("a")
    assert place.replace_if("a", b"mine again", version)
    assert place.replace_if("a", b"mine again", version)
    assert not place.replace_if("a", b"another's", version)
