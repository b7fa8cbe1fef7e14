"""Errors meant for a person."""

from collections.abc import Iterator
from contextlib import contextmanager

from sgan.errors import WeightsError


class UserError(Exception):
    """Bad input or a broken environment that the person at the keyboard can mend.

    The message stands alone: what is wrong, where (file or field path), the value found, what is
    allowed, and what to do. The command line prints it as `error: <message>` on stderr and exits
    with status 2, without a traceback.
    """


@contextmanager
def weights_told(about: str = "") -> Iterator[None]:
    """Inside it, the method's `WeightsError` is a `UserError`.

    For the two places from which no `WeightsError` may get out: a command, and a worker.

    Args:
        about: what the message begins with, such as a part's name; nothing where empty.
    """
    try:
        yield
    except WeightsError as error:
        raise UserError(f"{about}: {error}" if about else str(error)) from error
