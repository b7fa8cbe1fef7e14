"""A command ends at once, and as it would have: what waits for the end is done, the status is its.

Each in a process of its own, which ends.
"""

import subprocess
import sys

import pytest

# Module-level objects go when Python takes the modules apart, which is what must not be waited for.
_PROGRAM = """
import sys
from pipeline import ending

class Loaded:
    def __del__(self):
        print("taken apart")

loaded = Loaded()

def command():
    import atexit, threading, time
    atexit.register(print, "registered")
    threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
    print("said", end=" ")
    {end}

raise SystemExit(ending.prompt(command))
"""


def ended(end: str) -> subprocess.CompletedProcess[str]:
    program = _PROGRAM.format(end=end)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


@pytest.mark.parametrize("status", [0, 2, 143])
def test_all_that_waits_for_the_end_is_done_and_then_nothing_more(status: int) -> None:
    done = ended(f"return {status}")
    assert (done.returncode, done.stderr) == (status, "")
    assert done.stdout == "said thread\nregistered\n"


@pytest.mark.parametrize(
    ("end", "status", "told"),
    [
        ("raise KeyError('x')", 1, "KeyError: 'x'"),
        ("sys.exit(3)", 3, ""),
        ("sys.exit('no such thing')", 1, "no such thing"),
    ],
)
def test_what_is_no_return_ends_as_python_ends_it(end: str, status: int, told: str) -> None:
    done = ended(end)
    assert done.returncode == status
    assert told in done.stderr
    assert done.stdout == "said thread\nregistered\ntaken apart\n"


def test_a_closed_output_is_no_error() -> None:
    done = ended("sys.stdout.close(); return 4")
    assert done.returncode == 4
