"""Errors meant for a person."""


class UserError(Exception):
    """Bad input or a broken environment that the person at the keyboard can mend.

    The message stands alone: what is wrong, where (file or field path), the value found, what is
    allowed, and what to do. The command line prints it as ``error: <message>`` on stderr and exits
    with status 2, without a traceback.
    """
