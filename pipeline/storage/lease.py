"""Leases: who works on a key of a storage that several share, told by a file that is kept fresh."""

import getpass
import json
import os
import socket
import threading
import time
import uuid
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.paths import project_root
from pipeline.processes import still_runs
from pipeline.storage.backend import NoConditionalWrites
from pipeline.storage.s3_client import hurried
from pipeline.storage.store import Storage, json_bytes

HEARTBEAT_S = 5.0
BEATS_TO_DEATH = 6
_JOIN_S = 2.0


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, as it stands in the lease's file.

    Attributes:
        token: random, so that every holder's content is its own.
        who: user@host, process and folder, for people.
        place: the machine since its start, and the space in which `pid` counts.
        pid, started: the process, and when it began (seconds of that machine's clock).
        since: when the lease was taken, by the holder's clock, for people.
        heartbeat_seconds: how often the file changes while the holder lives.
        beat: what changes.
    """

    token: str
    who: str
    place: str
    pid: int
    started: float
    since: str
    heartbeat_seconds: float
    beat: int = 0

    @classmethod
    def this_process(cls, heartbeat_seconds: float) -> "Holder":
        """This process, with a token of its own."""
        import psutil

        pid, now = os.getpid(), datetime.now().astimezone().isoformat(" ", "minutes")
        who = f"{_user()}@{socket.gethostname()}, process {pid}, {project_root()}"
        started = psutil.Process().create_time()
        return cls(uuid.uuid4().hex, who, _place(), pid, started, now, heartbeat_seconds)

    def is_gone(self) -> bool:
        """Whether it was a process of this machine that has ended; False where one cannot know."""
        return self.place == _place() and still_runs(self.pid, self.started, within=2) is False


class Lease:
    """The right to work on what lies beside the file `key`, for one process at a time.

    The holder changes the file every few seconds. Who waits sees by its own clock that it does not
    change any more (the clocks of two machines are never compared), and takes it over. A holder
    that finds another's name in the file has `lost` it and has to stop.

    Where the storage cannot write conditionally there are no leases: `take` succeeds, `kept` is
    False.

    Args:
        storage: where what is worked on lies.
        key: of the lease's file.
        heartbeat_seconds: between two changes of the file.

    Attributes:
        holder: who else has it, after `take` failed or it was lost; None where that is not known.
        lost: whether another has taken it over.
        kept: whether there is a file that keeps others away.
    """

    def __init__(
        self, storage: Storage, key: str, *, heartbeat_seconds: float = HEARTBEAT_S
    ) -> None:
        self.storage, self.key = storage, key
        self.holder: Holder | None = None
        self.lost = False
        self.kept = False
        self._own = Holder.this_process(heartbeat_seconds)
        self._quiet = _Quiet()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self) -> bool:
        """Take it if it is free or its holder is dead; whether it was. To be asked again and again
        by whoever waits: a holder elsewhere counts as dead after `BEATS_TO_DEATH` missing beats
        between two askings that both got an answer."""
        try:
            taken = self._try()
        except NoConditionalWrites:
            return True
        if taken:
            self.kept, self.holder = True, None
            self._thread = threading.Thread(target=self._beat_on, name="lease", daemon=True)
            self._thread.start()
        return taken

    def release(self) -> None:
        """Give it back; nothing where it is lost or was never taken."""
        self._ended.set()
        if self._thread is None:
            return
        self._thread.join(_JOIN_S)
        self._thread = None
        try:
            with hurried():
                if not self.lost and self._read()[0] == self._own.token:
                    self.storage.delete(self.key)
        except (UserError, OSError):
            pass  # whoever waits will see that this process has ended

    def _try(self) -> bool:
        try:
            token, version, holder = self._read()
        except FileNotFoundError:
            return self.storage.create(self.key, _content(self._own))
        self.holder = holder
        patience = BEATS_TO_DEATH * (holder or self._own).heartbeat_seconds
        quiet = self._quiet.seconds(version)
        if token != self._own.token and quiet < patience and not (holder and holder.is_gone()):
            return False
        return self.storage.replace_if(self.key, _content(self._own), version)

    def _beat_on(self) -> None:
        while not self._ended.wait(self._own.heartbeat_seconds) and not self.lost:
            try:
                self._beat()
            except (UserError, OSError):
                continue  # a storage that is away; training will say so, if it has to
            except NoConditionalWrites:
                return

    def _beat(self) -> None:
        self._own = replace(self._own, beat=self._own.beat + 1)
        content = _content(self._own)
        try:
            token, version, holder = self._read()
        except FileNotFoundError:
            if not self._ended.is_set():  # else it was given back while this was on its way
                self.storage.create(self.key, content)
            return
        if token == self._own.token:
            self.storage.replace_if(self.key, content, version)
        else:
            self.holder, self.lost = holder, True

    def _read(self) -> tuple[str, str, Holder | None]:
        """Token, version and holder; no holder where the file is not a lease."""
        content, version = self.storage.read(self.key)
        try:
            fields: dict[str, Any] = json.loads(content)
            holder = Holder(**fields)
        except (ValueError, TypeError):
            return "", version, None
        return holder.token, version, holder


class _Quiet:
    """How long a version has been seen not to change. A gap between two looks counts for nothing:
    while the storage was away, the holder could not reach it either."""

    def __init__(self) -> None:
        self._version = ""
        self._since = self._looked = time.monotonic()

    def seconds(self, version: str) -> float:
        now = time.monotonic()
        if version != self._version or now - self._looked > 2 * HEARTBEAT_S:
            self._version, self._since = version, now
        self._looked = now
        return now - self._since


def _content(holder: Holder) -> bytes:
    return json_bytes(asdict(holder))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        return str(os.getuid())


@cache
def _place() -> str:
    parts = [socket.gethostname()]
    for path in (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")):
        try:
            parts.append(os.readlink(path) if path.is_symlink() else path.read_text().strip())
        except OSError:
            parts.append(str(uuid.getnode()))
    return " ".join(parts)
