"""S3 through boto3: one client per process, and reads that survive a stream broken in mid-body.

Endpoint, region and credentials come from the environment as boto3 knows them:
`AWS_ENDPOINT_URL`, `AWS_DEFAULT_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`.
"""

import functools
import io
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.storage.atomic import atomic_path
from pipeline.storage.backend import NoConditionalWrites

CONNECT_SECONDS = 5
READ_SECONDS = 60
# boto3's own retries end when the body begins; these are tries without any progress since.
BODY_TRIES = 5
_MISSING = {"404", "NoSuchKey", "NotFound"}


@dataclass(frozen=True)
class S3Object:
    """An entry of a listing: key, bytes, and the entity tag that changes with the content."""

    key: str
    size: int
    etag: str


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
def _explained(uri: str) -> Iterator[None]:
    """Turn boto3's errors into FileNotFoundError (no such key) or UserError (all others)."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "?"))
        if code in _MISSING:
            raise FileNotFoundError(f"{uri} does not exist") from error
        raise UserError(
            f"{uri}: S3 answered {code}: {error.response.get('Error', {}).get('Message', '')}. "
            "Check the bucket's name and the rights of AWS_ACCESS_KEY_ID."
        ) from error
    except BotoCoreError as error:
        raise UserError(
            f"{uri}: {error}. Check AWS_ENDPOINT_URL ({os.environ.get('AWS_ENDPOINT_URL')}), "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from error


class Reader(io.RawIOBase):
    """A forward stream over one object, which reopens itself where the body breaks off.

    A reopened body starts at the current position (Range) of the same content (If-Match).

    Attributes: `uri`, `size` in bytes, `etag`, `reopened` (how often).
    Raises FileNotFoundError for a missing object; UserError when the object changes between two
    parts or when `BODY_TRIES` tries in a row bring no byte.
    """

    def __init__(self, uri: str) -> None:
        super().__init__()
        self.uri = uri
        self._bucket, self._key = parse(uri)
        self._position = 0
        self.reopened = 0
        with _explained(uri):
            answer = client().get_object(Bucket=self._bucket, Key=self._key)
        self.size: int = answer["ContentLength"]
        self.etag: str = answer["ETag"]
        self._body = answer["Body"]

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self.size - self._position)
        if wanted <= 0:
            return 0
        for attempt in range(BODY_TRIES):
            chunk, reason = self._try_read(wanted)
            if chunk:
                buffer[: len(chunk)] = chunk
                self._position += len(chunk)
                return len(chunk)
            if attempt:
                time.sleep(min(0.2 * 2**attempt, 3))
            self._reopen()
        raise UserError(
            f"{self.uri}: broken off at byte {self._position} of {self.size}, and {BODY_TRIES} "
            f"tries to go on brought nothing (last: {reason}). Check the connection and repeat."
        )

    def _try_read(self, wanted: int) -> tuple[bytes, str]:
        from botocore.exceptions import (
            IncompleteReadError,
            ReadTimeoutError,
            ResponseStreamingError,
        )
        from urllib3.exceptions import HTTPError

        try:
            return self._body.read(wanted), "the body ended early"
        except (
            IncompleteReadError,
            ReadTimeoutError,
            ResponseStreamingError,
            HTTPError,
            OSError,
        ) as error:
            return b"", str(error)

    def _reopen(self) -> None:
        from botocore.exceptions import ClientError

        self._body.close()
        self.reopened += 1
        with _explained(self.uri):
            try:
                answer = client().get_object(
                    Bucket=self._bucket,
                    Key=self._key,
                    Range=f"bytes={self._position}-",
                    IfMatch=self.etag,
                )
            except ClientError as error:
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 412:
                    raise UserError(
                        f"{self.uri}: the object was replaced while it was being read; read again"
                    ) from error
                raise
        self._body = answer["Body"]

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()


def open_stream(uri: str) -> io.BufferedReader:
    """A buffered binary stream over `s3://bucket/key`; see `Reader` for errors."""
    return io.BufferedReader(Reader(uri), buffer_size=1 << 20)


def get_bytes(uri: str) -> bytes:
    """The whole object. Raises as `Reader`."""
    with open_stream(uri) as stream:
        return stream.read()


def get_file(uri: str, path: Path) -> None:
    """Write the object to `path` atomically, in constant memory. Raises as `Reader`."""
    with open_stream(uri) as stream, atomic_path(path) as temporary:
        with temporary.open("wb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)


def put_file(path: Path, uri: str) -> None:
    """Upload a file (in parts where it is large); the object appears whole or not at all.

    Raises FileNotFoundError for a missing file and UserError where S3 refuses.
    """
    bucket, key = parse(uri)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    from boto3.exceptions import S3UploadFailedError

    with _explained(uri):
        try:
            client().upload_file(str(path), bucket, key)
        except S3UploadFailedError as error:
            raise UserError(f"{uri}: {error}. Check the bucket and your rights.") from error


def put_bytes(content: bytes, uri: str) -> None:
    """Store `content` as one object. Raises UserError where S3 refuses."""
    bucket, key = parse(uri)
    with _explained(uri):
        client().put_object(Bucket=bucket, Key=key, Body=content)


def get_versioned(uri: str) -> tuple[bytes, str]:
    """The whole object and its entity tag. Raises as `Reader`."""
    with Reader(uri) as reader, io.BufferedReader(reader, buffer_size=1 << 20) as stream:
        return stream.read(), reader.etag


def create(content: bytes, uri: str) -> bool:
    """Store `content` where there is no object; whether it was this writer's.

    Raises UserError where S3 refuses, NoConditionalWrites where the server knows no such writes.
    """
    return _put_if(content, uri, IfNoneMatch="*")


def replace_if(content: bytes, uri: str, etag: str) -> bool:
    """Store `content` where the object still has this entity tag. Otherwise as `create`."""
    return _put_if(content, uri, IfMatch=etag)


def _put_if(content: bytes, uri: str, **condition: str) -> bool:
    from botocore.exceptions import ClientError

    bucket, key = parse(uri)
    with _explained(uri):
        try:
            client().put_object(Bucket=bucket, Key=key, Body=content, **condition)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if code == "NotImplemented" or status == 501:
                raise NoConditionalWrites(f"{uri}: {error}") from error
            # 409: another conditional write of this key is under way. A 412 may be an answer to a
            # repetition of this very request, whose first answer was lost.
            if status not in (404, 409, 412) or code == "NoSuchBucket":
                raise
            return status == 412 and _holds(uri, content)
    return True


def _holds(uri: str, content: bytes) -> bool:
    try:
        return get_bytes(uri) == content
    except FileNotFoundError:
        return False


def exists(uri: str) -> bool:
    """Whether the object is there. Raises UserError where S3 cannot be asked."""
    bucket, key = parse(uri)
    try:
        with _explained(uri):
            client().head_object(Bucket=bucket, Key=key)
    except FileNotFoundError:
        return False
    return True


def list_objects(uri: str) -> list[S3Object]:
    """All objects whose key begins with that of `uri`, sorted by key.

    Raises UserError where S3 cannot be asked (no such bucket, no rights).
    """
    bucket, prefix = parse(uri)
    found: list[S3Object] = []
    with _explained(uri):
        pages = client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for entry in page.get("Contents", []):
                found.append(S3Object(entry["Key"], entry["Size"], entry["ETag"]))
    return sorted(found, key=lambda entry: entry.key)


def delete(uri: str) -> None:
    """Delete the object; a missing one is no error. Raises UserError where S3 refuses."""
    bucket, key = parse(uri)
    with _explained(uri):
        client().delete_object(Bucket=bucket, Key=key)
