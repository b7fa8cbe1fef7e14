"""How a command ends: as soon as everything is said, without taking apart what it had loaded.

With the standard library only: it is the first that a command loads.
"""

import atexit
import os
import sys
from collections.abc import Callable
from contextlib import suppress


def prompt(command: Callable[[], int]) -> int:
    """Run a command, and have this process end with its exit status once all that waits for the end
    of a process (threads, `atexit`) has been done.

    What Python does after that, module by module, changes nothing outside of the process and takes
    half a second to two where torch and MLflow are loaded (docs/PERFORMANCE.md). To be called
    before anything else is loaded: what registers itself later is done earlier.
    """
    ended: list[int] = []
    atexit.register(_leave, ended)
    status = command()
    ended.append(status)
    return status


def _leave(ended: list[int]) -> None:
    """At once, where the command came to its end; else as Python does it, which knows of what."""
    if not ended:
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or none
            stream.flush()
    os._exit(ended[0])
