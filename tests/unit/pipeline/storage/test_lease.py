"""Leases: one holder at a time, and the dead do not keep theirs."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.storage import lease as leases
from pipeline.storage.backend import NoConditionalWrites
from pipeline.storage.folder import Folder
from pipeline.storage.lease import Holder, Lease
from pipeline.storage.store import Storage

KEY = "level0/k/lease.json"
BEAT = 0.02

Make = Callable[..., Lease]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    made: list[Lease] = []

    def lease(beat: float = BEAT) -> Lease:
        made.append(Lease(Storage(tmp_path), KEY, heartbeat_seconds=beat))
        return made[-1]

    yield lease
    for one in made:
        one.release()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def elsewhere(holder: Holder) -> Holder:
    """The holder as if it were another's, on another machine."""
    return replace(holder, token="theirs", place="another machine", who="ann@far, process 7, /work")


def put(tmp_path: Path, holder: Holder) -> None:
    Storage(tmp_path).write_json(KEY, vars(holder))


def test_the_second_waits_and_is_told_for_whom(make: Make) -> None:
    first, second = make(), make()
    assert first.take() and first.kept
    assert not second.take()
    assert second.holder is not None
    assert f"process {os.getpid()}" in second.holder.who
    first.release()
    assert second.take() and second.holder is None


def test_a_living_holder_is_not_taken_over(make: Make) -> None:
    beat = 0.2
    first, second = make(beat), make(beat)
    assert first.take()
    end = time.monotonic() + 1.5 * leases.BEATS_TO_DEATH * beat
    while time.monotonic() < end:
        assert not second.take()
        time.sleep(beat)
    assert not first.lost


def test_silence_elsewhere_is_death_by_the_waiters_own_clock(make: Make, tmp_path: Path) -> None:
    """The dead one's clock may say anything."""
    put(tmp_path, replace(elsewhere(Holder.this_process(BEAT)), since="2999-01-01 00:00"))
    lease, began = make(), time.monotonic()
    until(lease.take)
    assert time.monotonic() - began >= leases.BEATS_TO_DEATH * BEAT
    assert json.loads((tmp_path / KEY).read_text())["pid"] == os.getpid()


def test_the_silence_of_a_storage_that_was_away_does_not_count(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "HEARTBEAT_S", BEAT)  # what a gap is measured by
    put(tmp_path, elsewhere(Holder.this_process(BEAT)))
    lease = make()
    assert not lease.take()
    time.sleep(2 * leases.BEATS_TO_DEATH * BEAT)
    assert not lease.take(), "between two looks it may have beaten, or had no way to"


def test_a_dead_process_of_this_machine_is_known_at_once(make: Make, tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    import psutil

    started = psutil.Process(child.pid).create_time()
    put(tmp_path, replace(Holder.this_process(60), token="t", pid=child.pid, started=started))
    lease = make()
    assert not lease.take()
    child.send_signal(signal.SIGKILL)
    until(lease.take)  # a zombie holds nothing either
    child.communicate()


def test_another_process_of_the_same_number_is_not_the_holder(make: Make, tmp_path: Path) -> None:
    put(tmp_path, replace(Holder.this_process(60), token="t", pid=os.getpid(), started=1.0))
    assert make().take()


def test_who_finds_anothers_name_has_lost(make: Make, tmp_path: Path) -> None:
    lease = make()
    assert lease.take()
    theirs = elsewhere(Holder.this_process(BEAT))
    put(tmp_path, theirs)
    until(lambda: lease.lost)
    assert lease.holder == theirs
    lease.release()
    assert json.loads((tmp_path / KEY).read_text())["token"] == "theirs"


def test_a_lease_that_was_deleted_is_written_again(make: Make, tmp_path: Path) -> None:
    lease = make()
    assert lease.take()
    (tmp_path / KEY).unlink()
    until((tmp_path / KEY).exists)
    assert not make().take() and not lease.lost


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"token": "t"}', b"\xff"])
def test_what_is_no_lease_is_taken_over_when_it_does_not_change(
    make: Make, tmp_path: Path, content: bytes
) -> None:
    Storage(tmp_path).write(KEY, content)
    lease = make()
    assert not lease.take() and lease.holder is None
    until(lease.take)


def test_released_leaves_nothing(make: Make, tmp_path: Path) -> None:
    lease = make()
    assert lease.take()
    lease.release()
    lease.release()
    assert Storage(tmp_path).list() == []


def test_a_beat_that_was_on_its_way_brings_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a slow S3: the beat reads for longer than `release` waits for it."""
    reads, ended = threading.Event(), threading.Event()

    class Slow(Folder):
        def read(self, key: str) -> tuple[bytes, str]:
            if threading.current_thread().name == "lease":
                reads.set()
                ended.wait(20)
            return super().read(key)

    monkeypatch.setattr(leases, "_JOIN_S", 0.01)
    lease = Lease(Storage(Slow(tmp_path)), KEY, heartbeat_seconds=BEAT)
    assert lease.take() and reads.wait(20)
    beating = lease._thread
    lease.release()
    ended.set()
    assert beating is not None
    beating.join(20)
    assert lease.storage.list() == []


def test_without_conditional_writes_nobody_is_kept_away(tmp_path: Path) -> None:
    class Plain(Folder):
        def create(self, key: str, content: bytes) -> bool:
            raise NoConditionalWrites("none here")

    storage = Storage(Plain(tmp_path))
    one, other = Lease(storage, KEY), Lease(storage, KEY)
    assert one.take() and other.take()
    assert not one.kept and not other.kept
    one.release()
    assert storage.list() == []
