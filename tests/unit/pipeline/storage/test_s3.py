"""Objects of S3, checked by their digest, on a server of the tests' own.

Over a wire that breaks: tests/integration/test_storage_faults.py.
"""

from pathlib import Path

import pytest

from pipeline.storage import s3
from pipeline.storage.backend import Damaged, NoConditionalWrites


def test_what_is_stored_carries_its_digest(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    s3.put_bytes(b"abc", f"s3://{bucket}/bytes")
    s3.put_file(tmp_path / "file", f"s3://{bucket}/file")
    for key in ("bytes", "file"):
        about = s3.client().head_object(Bucket=bucket, Key=key)
        assert about["Metadata"]["sha256"].startswith("ba7816bf8f01cfea")
        assert s3.get_bytes(f"s3://{bucket}/{key}") == b"abc"


def test_bytes_that_are_not_what_was_stored_are_refused(bucket: str, tmp_path: Path) -> None:
    about = {"sha256": "0" * 64}
    s3.client().put_object(Bucket=bucket, Key="a", Body=b"abc", Metadata=about)
    for read in (s3.get_bytes, lambda uri: s3.get_file(uri, tmp_path / "file")):
        with pytest.raises(Damaged, match=r"/a: what arrives has another SHA-256 .* delete the"):
            read(f"s3://{bucket}/a")
    assert list(tmp_path.iterdir()) == []


def test_what_others_stored_without_a_digest_is_read(bucket: str, tmp_path: Path) -> None:
    s3.client().put_object(Bucket=bucket, Key="a", Body=b"abc")
    s3.get_file(f"s3://{bucket}/a", tmp_path / "file")
    assert s3.get_bytes(f"s3://{bucket}/a") == (tmp_path / "file").read_bytes() == b"abc"


def test_a_file_that_is_not_there_is_not_sent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none does not exist"):
        s3.put_file(tmp_path / "none", "s3://bucket/key")


def test_large_content_goes_up_in_parts(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_ONE_REQUEST", 1 << 20)
    content = bytes(9 << 20)  # boto3's own limit for one part is 8 MiB
    s3.put_bytes(content, f"s3://{bucket}/a")
    assert s3.get_bytes(f"s3://{bucket}/a") == content
    assert s3.list_objects(f"s3://{bucket}/a")[0].etag.endswith('-2"')


def test_a_server_that_ignores_conditions_is_found_out(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some do: they store, and say that all is well."""
    monkeypatch.setattr(s3, "_conditional", {})
    client = s3.client()
    put = client.put_object

    def heedless(**request: object) -> object:
        return put(**{k: v for k, v in request.items() if k not in ("IfMatch", "IfNoneMatch")})

    monkeypatch.setattr(client, "put_object", heedless)
    for _ in range(2):
        with pytest.raises(NoConditionalWrites, match="ignores If-Match"):
            s3.create(b"x", f"s3://{bucket}/a")
    assert s3.list_objects(f"s3://{bucket}") == []
