"""The S3 client of a process, what its errors mean, and waiting for a server that is away.

Endpoint, region and credentials come from the environment as boto3 knows them:
`AWS_ENDPOINT_URL`, `AWS_DEFAULT_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`.
"""

import functools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from pipeline.errors import UserError

CONNECT_SECONDS = 5
READ_SECONDS = 60
# Seconds that a server is waited for: one that has answered this process, and one that has not yet.
# SGAN_STORAGE_WAIT replaces both.
WAIT_SECONDS = 300.0
FIRST_WAIT_SECONDS = 60.0
_LONGEST_PAUSE = 5.0
_MISSING = {"404", "NoSuchKey", "NotFound"}
_PASSING = {"SlowDown", "Throttling", "ThrottlingException", "RequestTimeout", "BadDigest"}

_hurried: ContextVar[bool] = ContextVar("hurried", default=False)

T = TypeVar("T")


class Away(UserError):
    """The server does not answer, or says that it cannot now: waiting may mend it."""


def parse(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`; the key may be empty.

    Raises UserError where there is no bucket.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise UserError(f"{uri!r} is not an S3 address; write s3://bucket/key")
    return bucket, key


def client() -> Any:
    """The boto3 S3 client of this process (made anew after a fork or for another endpoint)."""
    return _client(os.getpid(), os.environ.get("AWS_ENDPOINT_URL"))


@functools.lru_cache(maxsize=4)
def _client(process: int, endpoint: str | None) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "max_attempts": 3},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return boto3.client("s3", endpoint_url=endpoint, region_name=region, config=config)


@contextmanager
def hurried() -> Iterator[None]:
    """Inside it a server that is away is an error at once: for what may be left undone."""
    token = _hurried.set(True)
    try:
        yield
    finally:
        _hurried.reset(token)


def patiently(uri: str, ask: Callable[[], T]) -> T:
    """What `ask` returns, asked again while the server is away, with one line to say so.

    Raises FileNotFoundError for a missing object, Away when the wait has been too long, and
    UserError for what waiting does not mend.
    """
    began, pause = time.monotonic(), 0.2
    while True:
        try:
            with explained(uri):
                answer = ask()
            _outage.over()
            return answer
        except FileNotFoundError:
            _outage.over()
            raise
        except Away as error:
            waited, limit = time.monotonic() - began, _outage.limit()
            if waited >= limit:
                raise Away(f"{error} It was waited for {waited:.0f} s.") from error
            _outage.tell(error, limit)
            time.sleep(min(pause, limit - waited))
            pause = min(2 * pause, _LONGEST_PAUSE)


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn boto3's errors into FileNotFoundError (no such key), Away or UserError (all others)."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectionError,
        HTTPClientError,
        SSLError,
    )

    check = (
        f"Check AWS_ENDPOINT_URL ({os.environ.get('AWS_ENDPOINT_URL')}), AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY."
    )
    try:
        yield
    except ClientError as error:
        about = error.response.get("Error", {})
        code = str(about.get("Code", "?"))
        if code in _MISSING:
            raise FileNotFoundError(f"{uri} does not exist") from error
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        passing = code in _PASSING or (status >= 500 and status != 501)
        raise (Away if passing else UserError)(
            f"{uri}: S3 answered {code}: {about.get('Message', '')}. "
            "Check the bucket's name and the rights of AWS_ACCESS_KEY_ID."
        ) from error
    except (ConnectionError, HTTPClientError) as error:
        kind = UserError if isinstance(error, SSLError) else Away
        raise kind(f"{uri}: {error}. {check}") from error
    except BotoCoreError as error:
        raise UserError(f"{uri}: {error}. {check}") from error


class _Outage:
    """Whether the server is away just now, for all threads of the process: one line each time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None
        self._known: set[str | None] = set()

    def limit(self) -> float:
        """Seconds to wait for the server."""
        if _hurried.get():
            return 0.0
        chosen = os.environ.get("SGAN_STORAGE_WAIT")
        if chosen:
            try:
                return float(chosen)
            except ValueError:
                raise UserError(f"SGAN_STORAGE_WAIT={chosen}: must be seconds, as 300") from None
        known = os.environ.get("AWS_ENDPOINT_URL") in self._known
        return WAIT_SECONDS if known else FIRST_WAIT_SECONDS

    def tell(self, error: Away, limit: float) -> None:
        """It is away."""
        with self._lock:
            if self._since is None:
                self._since = time.monotonic()
                print(f"{error} Waiting up to {limit:.0f} s for it.", flush=True)

    def over(self) -> None:
        """It has answered."""
        with self._lock:
            self._known.add(os.environ.get("AWS_ENDPOINT_URL"))
            if self._since is not None:
                away, self._since = time.monotonic() - self._since, None
                print(f"S3 answers again, after {away:.0f} s.", flush=True)


_outage = _Outage()
