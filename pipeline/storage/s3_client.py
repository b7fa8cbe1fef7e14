"""The S3 client of a process, what its errors mean, and waiting for a server that is away.

Endpoint, region and credentials are found as `aws s3 ls` finds them: in the environment
(`AWS_ENDPOINT_URL_S3` before `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, …), in the
profile that `AWS_PROFILE` names, or with the machine. Where there are no credentials at all,
requests go unsigned, which public buckets answer.
"""

import functools
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from pipeline.errors import UserError
from pipeline.paths import expanded
from pipeline.proxies import in_between

CONNECT_SECONDS = 5
READ_SECONDS = 60
# Seconds that a server is waited for: one that has answered this process, and one that has not yet.
# SGAN_STORAGE_WAIT replaces both.
WAIT_SECONDS = 300.0
FIRST_WAIT_SECONDS = 60.0
_LONGEST_PAUSE = 5.0
_MISSING = {"404", "NoSuchKey", "NotFound"}
PASSING = {"SlowDown", "Throttling", "ThrottlingException", "RequestTimeout", "BadDigest"}

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
    return _client(os.getpid(), endpoint(), os.environ.get("AWS_PROFILE"))


def endpoint() -> str | None:
    """The server that the environment names; None: the profile's, else Amazon's.

    Raises UserError for one without a scheme.
    """
    for variable in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        value = os.environ.get(variable)
        if value and not value.startswith(("http://", "https://")):
            raise UserError(f"{variable}={value}: has no scheme; write http://{value} or https://…")
        if value:
            return value
    return None


def as_variables() -> dict[str, str]:
    """What this machine's own files (~/.aws, by AWS_PROFILE) say of S3, as variables for another
    machine: without credentials where the environment has them, or the machine by its role."""
    if not _has_files():
        return {}
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        session = boto3.Session()
        found = None if os.environ.get("AWS_ACCESS_KEY_ID") else session.get_credentials()
        scoped = session._session.get_scoped_config()
    except BotoCoreError as error:
        raise UserError(f"S3: {error}. Check AWS_PROFILE and its files") from error
    known = {"AWS_DEFAULT_REGION": session.region_name}
    if not endpoint():
        known["AWS_ENDPOINT_URL"] = scoped.get("endpoint_url")
    if found is not None and found.method not in ("iam-role", "container-role"):
        keys = found.get_frozen_credentials()
        known |= {
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "AWS_SESSION_TOKEN": keys.token,
        }
    return {name: value for name, value in known.items() if value}


def _has_files() -> bool:
    named = ("AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")
    return any(os.environ.get(name) for name in named) or expanded("~/.aws").is_dir()


@functools.lru_cache(maxsize=4)
def _client(process: int, server: str | None, profile: str | None) -> Any:
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "max_attempts": 3},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        session = boto3.Session()
        if session.get_credentials() is None:
            config = config.merge(Config(signature_version=UNSIGNED))
        region = os.environ.get("AWS_REGION") or session.region_name or "us-east-1"
        return session.client("s3", endpoint_url=server, region_name=region, config=config)
    except (BotoCoreError, ValueError) as error:  # a profile that is not there; a broken address
        raise UserError(f"S3: {error}. Check AWS_PROFILE ({profile}) and its files") from error


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
    from botocore.parsers import ResponseParserError

    check = (
        f"Check AWS_ENDPOINT_URL ({endpoint()}), AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
        "AWS_PROFILE."
    )
    try:
        yield
    except ResponseParserError as error:
        raise _no_s3(uri, "an answer in another language") from error
    except RecursionError as error:  # botocore asks again where a bucket is, and again
        raise _no_s3(uri, "a redirection (to https://, or to a page to log in?)") from error
    except ClientError as error:
        about = error.response.get("Error", {})
        code = str(about.get("Code", "?"))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        # S3 says in XML what is wrong, unless only the head of an answer was asked for.
        wordless = code == str(status) and not error.operation_name.startswith("Head")
        if wordless and (status < 500 or status == 501):
            raise _no_s3(uri, f"{code} {about.get('Message', '')}".strip()) from error
        if code in _MISSING:
            raise FileNotFoundError(f"{uri} does not exist") from error
        passing = code in PASSING or (status >= 500 and status != 501)
        # A web page in the place of a list comes as a 500 of botocore's.
        doubt = f" What answers at {_server()} may be no S3.{_proxy()}" if wordless else ""
        raise (Away if passing else UserError)(
            f"{uri}: S3 answered {code}: {about.get('Message', '')}. "
            "Check the bucket's name and the rights of AWS_ACCESS_KEY_ID or AWS_PROFILE; without "
            f"either, only public buckets answer.{doubt}"
        ) from error
    except (ConnectionError, HTTPClientError) as error:
        kind = UserError if isinstance(error, SSLError) else Away
        raise kind(f"{uri}: {error}. {check}{_proxy()}") from error
    except BotoCoreError as error:
        raise UserError(f"{uri}: {error}. {check}") from error


def require_s3(uri: str, answer: Mapping[str, Any]) -> None:
    """Raises UserError where an object's content is a web page that no S3 sent: a console, a page
    to log in, a proxy's."""
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    page = str(headers.get("content-type", "")).startswith("text/html")
    if page and not any(name.startswith("x-amz-") for name in headers):
        raise _no_s3(uri, "a web page")


def _no_s3(uri: str, answer: str) -> UserError:
    return UserError(
        f"{uri}: what answers at {_server()} (AWS_ENDPOINT_URL) is no S3: {answer}. Correct the "
        f"address: host and port of S3 itself, not of its console.{_proxy()}"
    )


def _server() -> str:
    return endpoint() or "the server of AWS_PROFILE"


def _proxy() -> str:
    return in_between(endpoint() or "https://s3.amazonaws.com", general=False)


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
        known = endpoint() in self._known
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
            self._known.add(endpoint())
            if self._since is not None:
                away, self._since = time.monotonic() - self._since, None
                print(f"S3 answers again, after {away:.0f} s.", flush=True)


_outage = _Outage()
