"""S3 without a server: addresses, the client of a process, what its errors become.

Reading, writing and broken bodies run against a real server: tests/integration/test_s3_data.py.
"""

import os
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from pipeline.errors import UserError
from pipeline.storage import s3


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    s3._client.cache_clear()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bucket/a/b.bin", ("bucket", "a/b.bin")),
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/", ("bucket", "")),
        ("s3://bucket//a", ("bucket", "/a")),
    ],
)
def test_bucket_and_key(uri: str, expected: tuple[str, str]) -> None:
    assert s3.parse(uri) == expected


@pytest.mark.parametrize("uri", ["s3://", "s3:///key", "bucket/key", "gs://bucket/key", ""])
def test_what_is_no_address(uri: str) -> None:
    with pytest.raises(UserError) as refused:
        s3.parse(uri)
    assert str(refused.value) == f"{uri!r} is not an S3 address; write s3://bucket/key"


def test_one_client_for_a_process_and_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    first = s3.client()
    assert s3.client() is first
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:10")
    other = s3.client()
    assert other is not first
    assert other.meta.endpoint_url == "http://127.0.0.1:10"
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as after a fork
    assert s3.client() is not other


def test_servers_that_know_no_checksums_are_asked_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    config = s3.client().meta.config
    assert config.request_checksum_calculation == "when_required"
    assert config.response_checksum_validation == "when_required"
    assert config.region_name == "eu-west-1"
    assert config.connect_timeout == s3.CONNECT_SECONDS


def refusal(code: str, message: str = "as it pleases") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetObject")


@pytest.mark.parametrize("code", ["404", "NoSuchKey", "NotFound"])
def test_a_missing_object_is_a_missing_file(code: str) -> None:
    with (
        pytest.raises(FileNotFoundError, match="s3://b/k does not exist"),
        s3._explained("s3://b/k"),
    ):
        raise refusal(code)


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket", "SlowDown"])
def test_every_other_answer_is_for_the_person(code: str) -> None:
    with pytest.raises(UserError) as told, s3._explained("s3://b/k"):
        raise refusal(code)
    assert str(told.value).startswith(f"s3://b/k: S3 answered {code}: as it pleases. Check the")


def test_missing_credentials_name_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"AWS_ENDPOINT_URL \(http://127.0.0.1:9\), AWS_ACCESS_KEY"):
        with s3._explained("s3://b/k"):
            raise NoCredentialsError


def test_a_file_that_is_not_there_is_not_sent(tmp_path: Path) -> None:
    """Before anything is asked of a server: the endpoint here does not exist."""
    with pytest.raises(FileNotFoundError, match=r"none does not exist"):
        s3.put_file(tmp_path / "none", "s3://bucket/key")
