"""Processes of this machine, as every room asks for them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil


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
