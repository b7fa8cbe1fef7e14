"""Streams over an object; over a wire that breaks: tests/integration/test_s3_data.py."""

import pytest

from pipeline.storage import s3
from pipeline.storage.s3_stream import Reader, open_stream


def test_a_stream_is_read_in_pieces(bucket: str) -> None:
    s3.put_bytes(b"0123456789", f"s3://{bucket}/a")
    with open_stream(f"s3://{bucket}/a") as stream:
        assert (stream.read(4), stream.read(), stream.read()) == (b"0123", b"456789", b"")


def test_it_goes_on_where_it_was(bucket: str) -> None:
    s3.put_bytes(b"0123456789", f"s3://{bucket}/a")
    with Reader(f"s3://{bucket}/a") as reader:
        assert reader.read(4) == b"0123"
        reader._reopen()
        assert (reader.read(), reader.tell(), reader.reopened) == (b"456789", 10, 1)


def test_a_missing_object_is_a_missing_file(bucket: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"s3://{bucket}/none does not exist"):
        open_stream(f"s3://{bucket}/none")
