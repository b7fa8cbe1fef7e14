"""What this process does with the memory that it frees, and how often it looks for more."""

import ctypes
import gc

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of malloc.h
_MB = 2**20


def keep_freed() -> bool:
    """Have malloc keep what is freed for what is asked for next; False where it is not glibc's.

    A step of a training frees all its maps, and the next one asks for as many. By itself glibc
    gives them back to the system in between, which hands out each page anew, emptied: 4 to 8 % of
    a step (docs/PERFORMANCE.md). So the process keeps what it once had, up to a gigabyte.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = {_TRIM_THRESHOLD: 1024 * _MB, _MMAP_THRESHOLD: 1024 * _MB, _TOP_PAD: 64 * _MB}
    return all(mallopt(name, value) == 1 for name, value in settings.items())


def look_rarely() -> None:
    """Have Python look for objects that hold only each other after 50,000 new ones, not 700.

    Loading torch, MLflow and Ray makes 700,000 that all stay, and looking at them over and over is
    a seventh of the time that it takes (docs/PERFORMANCE.md). A step of a training leaves none that
    only such a search would free.
    """
    gc.set_threshold(50_000, 20, 50)
