"""What is freed is not asked of the system again, and Python looks for more only rarely.

In processes of their own, whose malloc and whose search it is.
"""

import subprocess
import sys


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
