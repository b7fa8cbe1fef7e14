"""A program in several processes at once, forked when its imports are there: these take seconds."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

_FORK = """
import os, sys
own = next((one for one in sys.argv[1:] if os.fork() == 0), None)
if own is None:
    sys.exit(sum(os.waitstatus_to_exitcode(os.wait()[1]) != 0 for _ in sys.argv[1:]))
"""


def run_forked(imports: str, program: str, each: Sequence[object], **options: Any) -> list[str]:
    """Run `program` once for each of these, whose text it knows as `own`; all must end well.

    Args:
        imports: a program that is run before, once.
        options: of subprocess.run.

    Returns:
        The words that they printed, in whatever order.
    """
    command = [sys.executable, "-c", imports + _FORK + program, *map(str, each)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done
    return done.stdout.split()
