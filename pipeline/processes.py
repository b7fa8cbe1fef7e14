"""Processes of this machine, as every room asks for them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil


def still_runs(pid: int, started: float, within: float) -> bool | None:
    """Whether the process that had this number and began at `started` (seconds since the epoch,
    give or take `within` seconds) runs; False: it has ended, or its number is another's; None: it
    may not be asked about."""
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return abs(process.create_time() - started) < within
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return None


def is_alive(process: "psutil.Process") -> bool:
    """Whether the process still runs. One that ends between two questions is gone, and so is one
    that has ended and waits to be collected; one that may not be asked about runs."""
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
