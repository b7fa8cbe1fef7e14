"""What is freed is not asked of the system again; in processes of their own, which malloc's are."""

import os
import subprocess
import sys

COUNT = """
import resource, sys, torch
from pipeline.memory import keep_freed
if sys.argv[1] == "kept":
    assert keep_freed()

def step():
    maps = [torch.ones(size) for size in range(20_000, 300_000, 1_000)]

for _ in range(4):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", COUNT, how], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_pages_are_taken_once() -> None:
    usual, kept = faults("usual"), faults("kept")
    assert kept < usual / 10
