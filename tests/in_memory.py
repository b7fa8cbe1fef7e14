"""Where tests write: below /dev/shm, where machine and memory are large enough for it.

They write tens of thousands of small files, and what they run syncs each to its disk, as it should:
on a disk that costs a seventh of the time of all tests.
"""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

SHM = Path("/dev/shm")
NAME = "sgan-tests-"
ROOM = 6 << 30  # of /dev/shm: all tests together leave some 3 GB
MEMORY = 12 << 30  # that is available: what tests run takes some, too


class InMemory:
    """A folder that is TMPDIR for this process and those that it starts.

    Where one may not be, nothing is changed: TMPDIR is set, or there is too little room.
    """

    def __init__(self, shm: Path = SHM, room: int = ROOM, memory: int = MEMORY) -> None:
        self.folder: Path | None = None
        if "TMPDIR" in os.environ or not shm.is_dir() or not os.access(shm, os.W_OK):
            return
        _tidy(shm)
        if shutil.disk_usage(shm).free < room or _available() < memory:
            return
        folder = Path(tempfile.mkdtemp(prefix=NAME, dir=shm))
        try:
            self._lock = _locked(folder)
        except OSError:  # other tests that begin just now took it for one that is left
            return
        self.folder = folder
        os.environ["TMPDIR"] = str(folder)
        tempfile.tempdir = None  # asked anew

    def end(self, keep: bool) -> None:
        """Delete it, or keep it until the next tests begin: what failed may be looked at."""
        if self.folder and not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def _tidy(shm: Path) -> None:
    """Delete the folders of tests that have ended."""
    for folder in shm.glob(f"{NAME}*"):
        try:
            lock = _locked(folder)
        except OSError:  # somebody else's, in use, or gone meanwhile
            continue
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked(folder: Path) -> int:
    """A descriptor that holds the folder until this process ends. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _available() -> int:
    """Bytes of memory that the machine has left, and its control group, if it is in one."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    fields = {line.split(":")[0]: line.split()[1] for line in lines}
    found = [int(fields["MemAvailable"]) << 10]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            found.append(int((Path("/sys/fs/cgroup") / name).read_text()))
        except (OSError, ValueError):  # another version, or "max": no limit
            continue
    return min(found)
