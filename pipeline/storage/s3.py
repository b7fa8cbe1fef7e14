"""S3 through boto3: objects as bytes and files, whole or not at all, checked by their digest.

What is stored carries its SHA-256, against which it is checked where it is read. A server that is
away is waited for (`s3_client.patiently`).
"""

import base64
import hashlib
import io
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.storage.atomic import atomic_path
from pipeline.storage.backend import Damaged, NoConditionalWrites
from pipeline.storage.s3_client import client, endpoint, parse, patiently
from pipeline.storage.s3_stream import Reader, open_stream

__all__ = ["client", "open_stream", "parse"]  # and all below: what others need of S3 is here

_READS = 3  # of content that arrives with another digest
_ONE_REQUEST = 256 << 20  # what is larger goes up in parts
_conditional: dict[tuple[int, str | None, str], bool] = {}


@dataclass(frozen=True)
class S3Object:
    """An entry of a listing: key, bytes, and the entity tag that changes with the content."""

    key: str
    size: int
    etag: str


def get_bytes(uri: str) -> bytes:
    """The whole object. Raises as `Reader`, and Damaged."""
    return get_versioned(uri)[0]


def get_versioned(uri: str) -> tuple[bytes, str]:
    """The whole object and its entity tag. Raises as `Reader`, and Damaged."""

    def read(reader: Reader) -> tuple[str, tuple[bytes, str]]:
        with io.BufferedReader(reader, buffer_size=1 << 20) as stream:
            content = stream.read()
        return hashlib.sha256(content).hexdigest(), (content, reader.etag)

    return _checked(uri, read)


def get_file(uri: str, path: Path) -> None:
    """Write the object to `path` atomically, in constant memory. Raises as `get_bytes`."""
    with atomic_path(path) as temporary:

        def copy(reader: Reader) -> tuple[str, None]:
            digest = hashlib.sha256()
            with temporary.open("wb") as file, io.BufferedReader(reader, 1 << 20) as stream:
                while chunk := stream.read(1 << 20):
                    digest.update(chunk)
                    file.write(chunk)
            return digest.hexdigest(), None

        _checked(uri, copy)


def _checked(uri: str, read: Callable[[Reader], tuple[str, Any]]) -> Any:
    for _ in range(_READS):
        with Reader(uri) as reader:
            stored = reader.sha256
            digest, answer = read(reader)
        if stored in ("", digest):
            return answer
    raise Damaged(
        f"{uri}: what arrives has another SHA-256 than what was stored, {_READS} times: it is "
        "damaged there, or on its way. Check the connection; if that is well, delete the object"
    )


def put_file(path: Path, uri: str) -> None:
    """Upload a file, a large one in parts and without holding it in memory; the object appears
    whole or not at all.

    Raises FileNotFoundError for a missing file and UserError where S3 refuses.
    """
    bucket, key = parse(uri)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    if path.stat().st_size <= _ONE_REQUEST:
        put_bytes(path.read_bytes(), uri)  # whose MD5 the server checks
        return
    with path.open("rb") as file:
        about = {"Metadata": {"sha256": hashlib.file_digest(file, "sha256").hexdigest()}}

    def send() -> None:
        with path.open("rb") as file:
            client().upload_fileobj(file, bucket, key, ExtraArgs=about)

    patiently(uri, send)


def put_bytes(content: bytes, uri: str) -> None:
    """Store `content` as one object. Raises UserError where S3 refuses."""
    bucket, key = parse(uri)
    if len(content) <= _ONE_REQUEST:
        patiently(uri, lambda: client().put_object(**_request(content, uri)))
        return
    about = {"Metadata": {"sha256": hashlib.sha256(content).hexdigest()}}
    patiently(
        uri, lambda: client().upload_fileobj(io.BytesIO(content), bucket, key, ExtraArgs=about)
    )


def create(content: bytes, uri: str) -> bool:
    """Store `content` where there is no object; whether it was this writer's.

    Raises UserError where S3 refuses, NoConditionalWrites where the server knows no such writes.
    """
    return _put_if(content, uri, IfNoneMatch="*")


def replace_if(content: bytes, uri: str, etag: str) -> bool:
    """Store `content` where the object still has this entity tag. Otherwise as `create`."""
    return _put_if(content, uri, IfMatch=etag)


def _put_if(content: bytes, uri: str, **condition: str) -> bool:
    if not _keeps_conditions(uri):
        raise NoConditionalWrites(f"{uri}: the server ignores If-Match or If-None-Match")
    stored = patiently(uri, lambda: _try_put(content, uri, **condition))
    # A refusal may be the answer to a repetition of this very request, whose answer was lost.
    return stored or _holds(uri, content)


def _try_put(content: bytes, uri: str, **condition: str) -> bool:
    """Whether the condition held. 409: another conditional write of the key is under way."""
    from botocore.exceptions import ClientError

    try:
        client().put_object(**_request(content, uri), **condition)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code == "NotImplemented" or status == 501:
            raise NoConditionalWrites(f"{uri}: {error}") from error
        if status not in (404, 409, 412) or code == "NoSuchBucket":
            raise
        return False
    return True


def _keeps_conditions(uri: str) -> bool:
    """Whether the server heeds them: some store all the same, and say nothing. Asked once for a
    process, an endpoint and a bucket, by objects beside `uri`."""
    place = (os.getpid(), endpoint(), parse(uri)[0])
    if place not in _conditional:
        probe = f"{uri}.probe-{uuid.uuid4().hex}"
        try:
            patiently(probe, lambda: _try_put(b"1", probe, IfNoneMatch="*"))
            again = patiently(probe, lambda: _try_put(b"2", probe, IfNoneMatch="*"))
            other = patiently(probe, lambda: _try_put(b"3", probe, IfMatch=f'"{0:032x}"'))
            _conditional[place] = not again and not other
        except NoConditionalWrites:
            _conditional[place] = False
        delete(probe)
    return _conditional[place]


def _holds(uri: str, content: bytes) -> bool:
    try:
        return get_bytes(uri) == content
    except FileNotFoundError:
        return False


def _request(content: bytes, uri: str) -> dict[str, Any]:
    """Arguments of put_object. The server checks the MD5 of what arrives, whatever it is."""
    bucket, key = parse(uri)
    return {
        "Bucket": bucket,
        "Key": key,
        "Body": content,
        "Metadata": {"sha256": hashlib.sha256(content).hexdigest()},
        "ContentMD5": base64.b64encode(
            hashlib.md5(content, usedforsecurity=False).digest()
        ).decode(),
    }


def exists(uri: str) -> bool:
    """Whether the object is there. Raises UserError where S3 cannot be asked."""
    bucket, key = parse(uri)
    try:
        patiently(uri, lambda: client().head_object(Bucket=bucket, Key=key))
    except FileNotFoundError:
        return False
    return True


def list_objects(uri: str) -> list[S3Object]:
    """All objects whose key begins with that of `uri`, sorted by key.

    Raises UserError where S3 cannot be asked (no such bucket, no rights).
    """
    bucket, prefix = parse(uri)

    def ask() -> list[S3Object]:
        pages = client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        entries = [entry for page in pages for entry in page.get("Contents", [])]
        return [S3Object(entry["Key"], entry["Size"], entry["ETag"]) for entry in entries]

    return sorted(patiently(uri, ask), key=lambda entry: entry.key)


def delete(uri: str) -> None:
    """Delete the object; a missing one is no error. Raises UserError where S3 refuses."""
    bucket, key = parse(uri)
    patiently(uri, lambda: client().delete_object(Bucket=bucket, Key=key))
