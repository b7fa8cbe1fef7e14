"""Which failures pass, how long one waits for them, and what a person is told."""

import logging

import pytest
import requests
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    TEMPORARILY_UNAVAILABLE,
)

from pipeline.errors import UserError
from pipeline.tracking import asking
from pipeline.tracking.asking import Asker, is_outage, longest_wait


def answered(status):
    """What MLflow raises where a server that hands files on answers with a status."""
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"{status} for the picture", response=response)


def s3(code, status):
    """An answer of S3 that is an error."""
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "PutObject")


def uploading(error):
    """What boto3 makes of an error of an upload."""
    try:
        try:
            raise error
        except ClientError as cause:
            raise S3UploadFailedError(f"Failed to upload x to bucket/x: {cause}")  # noqa: B904
    except S3UploadFailedError as failed:
        return failed


@pytest.mark.parametrize(
    ("error", "later"),
    [
        (OSError("refused"), True),
        (answered(413), False),
        (answered(403), False),
        (answered(429), True),
        (answered(502), True),
        (s3("AccessDenied", 403), False),
        (s3("SlowDown", 503), True),
        (s3("RequestTimeout", 400), True),
        (s3("InternalError", 500), True),
        (uploading(s3("NoSuchBucket", 404)), False),
        (uploading(s3("InternalError", 500)), True),
        (NoCredentialsError(), False),
        (EndpointConnectionError(endpoint_url="http://s3"), True),
        (ReadTimeoutError(endpoint_url="http://s3"), True),
        (SSLError(endpoint_url="http://s3", error="a certificate"), False),
        (FileNotFoundError("weights"), False),
        (MlflowException("busy", TEMPORARILY_UNAVAILABLE), True),
        (MlflowException("broken", INTERNAL_ERROR), True),
        (MlflowException("wrong", INVALID_PARAMETER_VALUE), False),
        (ValueError("wrong"), False),
    ],
)
def test_what_may_work_later(error, later):
    assert is_outage(error) is later


class Server:
    """Answers from the call on that `back` names."""

    def __init__(self, back: int) -> None:
        self.back, self.calls = back, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls < self.back:
            raise ConnectionError("refused")
        return "here"


@pytest.fixture
def asker(monkeypatch):
    monkeypatch.setattr(asking, "_PAUSE_S", 0.0)
    monkeypatch.setattr(asking, "_HICCUP_S", 0.0)
    return Asker("http://ann:hunter22@host:5000")


def test_a_server_that_comes_back_is_waited_for_with_one_line(asker, caplog):
    server = Server(back=4)
    with caplog.at_level(logging.WARNING, logger="pipeline"):
        assert asker.ask(server) == "here"
    (record,) = caplog.records
    assert record.message == (
        "MLflow at http://***@host:5000 does not answer; waiting up to 120 s for it."
    )


def test_once_in_vain_is_enough_until_it_answers(asker, monkeypatch):
    asker.longest_s = 1e-9
    away = Server(back=10**9)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            asker.ask(away)
    asker.longest_s = 60.0
    with pytest.raises(ConnectionError):
        asker.ask(away)
    assert asker.ask(Server(back=1)) == "here"
    assert asker.ask(Server(back=3)) == "here"


def test_a_command_does_not_wait():
    with pytest.raises(ConnectionError):
        Asker("http://host:5000", patient=False).ask(Server(back=2))


def test_a_refusal_and_a_database_are_not_waited_for(asker):
    def refuse():
        raise MlflowException("no", INVALID_PARAMETER_VALUE)

    with pytest.raises(MlflowException, match="no"):
        asker.ask(refuse)
    with pytest.raises(ConnectionError):
        Asker("sqlite:///mlflow.db").ask(Server(back=2))


def test_what_a_person_is_told_holds_no_password(asker):
    with pytest.raises(UserError, match="does not answer") as caught, asker.answering():
        raise ConnectionError("http://ann:hunter22@host:5000 refused")
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("given", ["soon", "-1", "inf", "nan"])
def test_how_long_is_a_number_of_seconds(monkeypatch, given):
    monkeypatch.setenv("SGAN_TRACKING_WAIT", given)
    with pytest.raises(UserError, match=f"SGAN_TRACKING_WAIT={given}: must be a number"):
        longest_wait()
    monkeypatch.setenv("SGAN_TRACKING_WAIT", "7.5")
    assert longest_wait() == 7.5


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NoCredentialsError(), "Unable to locate credentials; check MLFLOW_S3_ENDPOINT_URL"),
        (uploading(s3("AccessDenied", 403)), "Failed to upload x to bucket/x: .*AccessDenied"),
    ],
)
def test_a_file_store_that_refuses_is_not_waited_for_and_is_named(asker, error, told):
    calls = []

    def refuse():
        calls.append(1)
        raise error

    asker.longest_s = 0.01
    told = rf"the file store of MLflow at http://\*\*\*@host:5000: {told}"
    with pytest.raises(UserError, match=told), asker.answering():
        asker.ask(refuse)
    assert len(calls) == 1


def test_a_fault_of_ours_is_not_called_the_file_store_s(asker):
    with pytest.raises(ZeroDivisionError), asker.answering():
        raise ZeroDivisionError
