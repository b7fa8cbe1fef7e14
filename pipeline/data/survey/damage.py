"""What libraries raise on content that is damaged or hostile, told in one line."""

import csv
import lzma
import struct
import tarfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from pipeline.data.survey.names import shown
from pipeline.errors import UserError
from pipeline.storage.atomic import is_full

# None of it is documented as a whole: tests/integration/sources/test_fuzz.py has met most of these.
DAMAGED = (
    OSError, EOFError, ValueError, TypeError, ArithmeticError, LookupError, MemoryError,
    RuntimeError, SystemError, SyntaxError, struct.error, tokenize.TokenError, csv.Error,
    zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError,
)  # fmt: skip
_PIECE = 1 << 20
_LONGEST = 200
MOST_CHARACTERS = 600  # of an error, which a person reads in one go


def reason(error: BaseException) -> str:
    """What an error says, in one line that a terminal can show; its type where it says nothing."""
    text = shown(" ".join(str(error).split()))
    return (text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …") or type(error).__name__


@contextmanager
def damage_told(what: str, remedy: str, *more: type[Exception]) -> Iterator[None]:
    """Inside it, what a library raises on damaged content is a UserError: `what` (reason). `remedy`

    more: what this library raises beside `DAMAGED`. A full disk is not damage, and passes.
    """
    try:
        yield
    except DAMAGED + more as error:
        if isinstance(error, OSError) and is_full(error):
            raise
        raise UserError(f"{what} ({reason(error)}). {remedy}".strip()) from error


@contextmanager
def brief_errors() -> Iterator[None]:
    """Inside it, a UserError is at most `MOST_CHARACTERS` long."""
    try:
        yield
    except UserError as error:
        if (short := brief(str(error))) == str(error):
            raise
        raise UserError(short) from error


def brief(message: str) -> str:
    """A message of one line and at most `MOST_CHARACTERS`, with its middle left out; lists of
    several problems stay as they are."""
    if "\n" in message or len(message) <= MOST_CHARACTERS:
        return message
    return f"{message[:280]} … {message[-(MOST_CHARACTERS - 283) :]}"


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, count: int, /) -> bytes: ...


def read_up_to(stream: Readable, count: int) -> bytes:
    """`count` bytes, or those that there are: memory follows what is there, not what is asked for,
    which a header may have promised."""
    found = bytearray()
    while len(found) < count and (piece := stream.read(min(_PIECE, count - len(found)))):
        found += piece
    return bytes(found)
