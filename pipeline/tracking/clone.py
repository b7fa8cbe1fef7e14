"""Whose a run is: the clone of the project and the process, so that nobody takes another's."""

import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.paths import STORAGE, owning_project
from pipeline.processes import still_runs

if TYPE_CHECKING:
    import psutil

VARIABLE = "SGAN_CLONE"
_FILE = "clone-id"
_SHELLS = {"sh", "bash", "dash", "zsh", "fish", "ksh"}

# A process's start as two libraries' clocks tell it may differ in the last digits.
_SAME_START_S = 1.0


def clone_id(root: Path) -> str:
    """Name of the clone that `root` belongs to: `SGAN_CLONE`, else a random one kept in .runs.

    Temporary workspaces of `dvc exp run` have their project's; a copy of a project's folder is
    another clone, a folder that was moved is not. Where a folder does not outlive the execution
    (a submitted job), the variable says which executions go on in one another.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return given.replace("'", "_")
    file = owning_project(root.resolve()) / STORAGE / _FILE
    if _kept(file) is None:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f".{_FILE}-{secrets.token_hex(8)}")
        fresh.touch()
        fresh.write_text(f"{secrets.token_hex(6)} {fresh.stat().st_ino}\n")
        _place(fresh, file)
    name = _kept(file)
    assert name is not None
    return name


def _kept(file: Path) -> str | None:
    """The name in the file; None where there is none, or where the file came with a copy: it
    says which file it is."""
    try:
        name, _, number = file.read_text().strip().partition(" ")
        return name if number == str(file.stat().st_ino) else None
    except FileNotFoundError:
        return None


def _place(fresh: Path, file: Path) -> None:
    """Gives `fresh` the name `file`, unless another process was first."""
    try:
        os.link(fresh, file)
    except FileExistsError:
        if _kept(file) is None:  # of the project that this one was copied from
            os.replace(fresh, file)
    except OSError:  # a file system without links
        os.replace(fresh, file)
    fresh.unlink(missing_ok=True)


def process_mark() -> str:
    """This process as a tag: host, process id, start in seconds since the epoch."""
    import psutil

    return _mark(psutil.Process())


def execution_mark() -> str:
    """The process that executes the pipeline: DVC, below which stages start, else this one."""
    import psutil

    own = psutil.Process()
    if "DVC_STAGE" not in os.environ:
        return _mark(own)
    above = [process for process in own.parents() if process.name() not in _SHELLS]
    return _mark(above[0] if above and above[0].pid != 1 else own)


def is_dead(mark: str) -> bool:
    """Whether the process of a mark has ended for certain: never said of another host's."""
    return _state(mark) is False


def is_alive_elsewhere(mark: str) -> bool:
    """Whether another process of this host, which runs, has this mark."""
    return mark != process_mark() and _state(mark) is True


def _mark(process: "psutil.Process") -> str:
    return f"{socket.gethostname()} {process.pid} {process.create_time():.2f}"


def _state(mark: str) -> bool | None:
    """True: runs; False: has ended; None: not to be known here."""
    host, number, start = (["", "", ""] + mark.split(" "))[-3:]
    if host != socket.gethostname() or not number.isdigit():
        return None
    try:
        return still_runs(int(number), float(start), within=_SAME_START_S)
    except ValueError:
        return None
