"""`python -m pipeline`: the same as the console script `sgan`."""

import sys

from pipeline import ending, memory
from pipeline.interpreter import remedy


def run() -> int:
    """The command line of this process; returns its exit status."""
    memory.look_rarely()
    return ending.prompt(_command)


def _command() -> int:
    try:
        from pipeline.cli import main
    except ModuleNotFoundError as error:
        told = remedy(error)
        if told is None:
            raise
        print(f"error: {told}", file=sys.stderr)
        return 2
    return main()


if __name__ == "__main__":
    raise SystemExit(run())
