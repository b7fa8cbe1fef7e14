"""S3's client: addresses, one for a process, what its errors become, how long one waits.

A server that is really away: tests/integration/test_storage_faults.py.
"""

import os
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from pipeline.errors import UserError
from pipeline.storage import s3_client as s3
from pipeline.storage.s3 import create, get_bytes, list_objects, put_bytes


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("SGAN_STORAGE_WAIT", "0")
    s3._client.cache_clear()
    monkeypatch.setattr(s3, "_outage", s3._Outage())


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


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose ~/.aws holds a profile `lab`, and whose environment says nothing of S3."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    (tmp_path / "credentials").write_text(
        "[lab]\naws_access_key_id = key\naws_secret_access_key = word\n"
    )
    (tmp_path / "config").write_text(
        "[profile lab]\nregion = eu-west-3\nendpoint_url = http://127.0.0.1:9\n"
    )
    s3._client.cache_clear()
    return tmp_path


def test_a_profile_has_its_keys_region_and_server(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "lab")
    made = s3.client()
    assert made.meta.region_name == "eu-west-3"
    assert made.meta.endpoint_url == "http://127.0.0.1:9"
    signed = made.generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"})
    assert "KeyId=key" in signed or "Credential=key" in signed
    monkeypatch.setenv("AWS_PROFILE", "none")
    with pytest.raises(UserError, match=r"profile \(none\) could not be found\. Check AWS_PROFILE"):
        s3.client()


def test_to_another_machine_a_profile_goes_as_variables(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert s3.as_variables() == {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "word",
        "AWS_DEFAULT_REGION": "eu-west-3",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the environment's go before")
    assert s3.as_variables() == {
        "AWS_DEFAULT_REGION": "eu-west-3",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }


def test_without_credentials_requests_are_not_signed(files: Path) -> None:
    """As public buckets want them."""
    from botocore import UNSIGNED

    assert s3.client().meta.config.signature_version is UNSIGNED


def test_the_server_for_s3_goes_before_that_for_all(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:10")
    assert s3.client().meta.endpoint_url == "http://127.0.0.1:10"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "minio:9000")
    with pytest.raises(UserError, match=r"_URL_S3=minio:9000: has no scheme; write http"):
        s3.client()


def refusal(code: str, message: str = "as it pleases", status: int = 400) -> ClientError:
    metadata = {"HTTPStatusCode": status}
    about = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}
    return ClientError(about, "GetObject")  # type: ignore[arg-type]


@pytest.mark.parametrize("code", ["404", "NoSuchKey", "NotFound"])
def test_a_missing_object_is_a_missing_file(code: str) -> None:
    with (
        pytest.raises(FileNotFoundError, match="s3://b/k does not exist"),
        s3.explained("s3://b/k"),
    ):
        raise refusal(code)


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket"])
def test_every_other_answer_is_for_the_person(code: str) -> None:
    with pytest.raises(UserError) as told, s3.explained("s3://b/k"):
        raise refusal(code)
    assert str(told.value).startswith(f"s3://b/k: S3 answered {code}: as it pleases. Check the")


class EveryPage(BaseHTTPRequestHandler):
    """A site that shows its page whatever the address."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html><p>hello")

    def log_message(self, *args: object) -> None:
        pass


def refused_everywhere(uri: str) -> None:
    """Ask for all that is asked of a place: a list, an object, its head, to write one."""
    for ask in (
        lambda: list_objects(uri),
        lambda: get_bytes(f"{uri}/a"),
        lambda: put_bytes(b"1", f"{uri}/a"),
        lambda: create(b"1", f"{uri}/b"),
    ):
        with pytest.raises(UserError, match=r"what answers at http://\S+ .* is no S3: .*console"):
            ask()


def test_what_answers_and_is_no_s3_is_called_so(
    serve: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", serve(tmp_path))
    refused_everywhere("s3://b/k")
    (tmp_path / "b").mkdir()
    with pytest.raises(UserError, match="is no S3: a redirection"):  # to /b/
        list_objects("s3://b/")
    monkeypatch.setenv("AWS_ENDPOINT_URL", serve(handler=EveryPage))
    with pytest.raises(UserError, match=r"What answers at \S+ may be no S3"):
        list_objects("s3://b/")


def test_a_web_page_in_the_place_of_an_object_is_told(
    serve: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As consoles and pages to log in send it, whatever the address."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "k.html").write_text("<html>")
    monkeypatch.setenv("AWS_ENDPOINT_URL", serve(tmp_path))
    with pytest.raises(UserError, match="is no S3: a web page"):
        get_bytes("s3://b/k.html")


def test_a_web_page_that_s3_keeps_is_an_object_like_others(bucket: str) -> None:
    s3.client().put_object(Bucket=bucket, Key="a.html", Body=b"<html>", ContentType="text/html")
    assert get_bytes(f"s3://{bucket}/a.html") == b"<html>"


def test_a_proxy_in_the_way_is_named(no_proxies: pytest.MonkeyPatch) -> None:
    no_proxies.setenv("AWS_ENDPOINT_URL", "http://s3.example:9000")
    no_proxies.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"asked for by way of http_proxy=http://127\.0\.0\.1:9: "):
        get_bytes("s3://b/k")


def test_missing_credentials_name_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"AWS_ENDPOINT_URL \(http://127.0.0.1:9\), AWS_ACCESS_KEY"):
        with s3.explained("s3://b/k"):
            raise NoCredentialsError


@pytest.mark.parametrize(
    ("code", "status"),
    [("SlowDown", 503), ("InternalError", 500), ("BadDigest", 400), ("502", 502)],
)
def test_what_passes_is_waited_for_with_one_line(
    code: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SGAN_STORAGE_WAIT", "20")
    answers = iter([refusal(code, status=status), refusal(code, status=status), None])

    def ask() -> str:
        error = next(answers)
        if error:
            raise error
        return "content"

    assert s3.patiently("s3://b/k", ask) == "content"
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"s3://b/k: S3 answered {code}")
    assert first.endswith("Waiting up to 20 s for it.")
    assert last.startswith("S3 answers again, after ")


@pytest.mark.parametrize(("code", "status"), [("AccessDenied", 403), ("NotImplemented", 501)])
def test_what_does_not_pass_is_told_at_once(code: str, status: int) -> None:
    with pytest.raises(UserError) as told:
        s3.patiently("s3://b/k", lambda: fail(refusal(code, status=status)))
    assert not isinstance(told.value, s3.Away)


def test_a_wait_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SGAN_STORAGE_WAIT", "0.3")
    error = EndpointConnectionError(endpoint_url="http://127.0.0.1:9")
    with pytest.raises(s3.Away, match=r"Could not connect .* It was waited for 0 s\."):
        s3.patiently("s3://b/k", lambda: fail(error))


def test_what_may_be_left_undone_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage whose server is away ends without asking for as long again to give its lease back."""
    monkeypatch.delenv("SGAN_STORAGE_WAIT")
    with pytest.raises(s3.Away), s3.hurried():
        s3.patiently("s3://b/k", lambda: fail(refusal("SlowDown", status=503)))
    assert s3._outage.limit() == s3.FIRST_WAIT_SECONDS


def test_a_server_that_has_answered_is_waited_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SGAN_STORAGE_WAIT")
    assert s3._outage.limit() == s3.FIRST_WAIT_SECONDS
    s3.patiently("s3://b/k", lambda: None)
    assert s3._outage.limit() == s3.WAIT_SECONDS
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert s3._outage.limit() == s3.FIRST_WAIT_SECONDS
    monkeypatch.setenv("SGAN_STORAGE_WAIT", "soon")
    with pytest.raises(UserError, match="SGAN_STORAGE_WAIT=soon: must be seconds"):
        s3._outage.limit()


def fail(error: Exception) -> None:
    raise error
