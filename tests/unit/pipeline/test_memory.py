"""What is freed is not asked of the system again, and Python looks for more only rarely.

In processes of their own, whose malloc and whose search it is.
"""

import os
import subprocess
import sys

COUNT = """
import resource, torch
from pipeline.memory import keep_freed

def step():
    maps = [torch.ones(size) for size in range(20_000, 300_000, 1_000)]

def faults():
    for _ in range(4):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = faults()
assert keep_freed()
print(usual, faults())
"""


def test_pages_are_taken_once() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run([sys.executable, "-c", COUNT], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    usual, kept = map(int, done.stdout.split())
    assert kept < usual / 10


def test_a_search_finds_what_holds_only_itself_all_the_same() -> None:
    program = """
import gc
from pipeline.memory import look_rarely

def so_far(what):
    return sum(one[what] for one in gc.get_stats())

look_rarely()
before = so_far("collections"), so_far("collected")
for _ in range(200_000):
    circle = []
    circle.append(circle)
print(so_far("collections") - before[0], so_far("collected") - before[1])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    searches, collected = map(int, done.stdout.split())
    assert 1 <= searches <= 4
    assert collected >= 100_000
