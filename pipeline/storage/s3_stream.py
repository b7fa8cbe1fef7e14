"""Reading an object of S3 as a stream that survives a body broken off in the middle."""

import io
import time
from typing import Any

from pipeline.errors import UserError
from pipeline.storage.s3_client import client, parse, patiently, require_s3

# boto3's own retries end when the body begins; these are tries without any progress since.
BODY_TRIES = 5


class Reader(io.RawIOBase):
    """A forward stream over one object, which reopens itself where the body breaks off.

    A reopened body starts at the current position (Range) of the same content (If-Match).

    Attributes: `uri`, `size` in bytes, `etag`, `reopened` (how often), `sha256` of what was stored
    where its writer said so, else "".
    Raises FileNotFoundError for a missing object; UserError when the object changes between two
    parts or when `BODY_TRIES` tries in a row bring no byte; `s3_client.Away` where the server is
    away for too long.
    """

    def __init__(self, uri: str) -> None:
        super().__init__()
        self.uri = uri
        self._bucket, self._key = parse(uri)
        self._position = 0
        self.reopened = 0
        answer = patiently(uri, lambda: client().get_object(Bucket=self._bucket, Key=self._key))
        require_s3(uri, answer)
        self.size: int = answer["ContentLength"]
        self.etag: str = answer["ETag"]
        self.sha256: str = answer.get("Metadata", {}).get("sha256", "")
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
        self._body.close()
        self.reopened += 1
        self._body = patiently(self.uri, self._rest)["Body"]

    def _rest(self) -> Any:
        from botocore.exceptions import ClientError

        try:
            return client().get_object(
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

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()


def open_stream(uri: str) -> io.BufferedReader:
    """A buffered binary stream over `s3://bucket/key`; see `Reader` for errors."""
    return io.BufferedReader(Reader(uri), buffer_size=1 << 20)
