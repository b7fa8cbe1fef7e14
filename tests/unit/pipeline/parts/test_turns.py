"""Executions that share a storage: each part is trained by one, and the others take its result."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.parts.checkpoints import RESULT, Checkpoints
from pipeline.parts.part import Identity, Part, Placement
from pipeline.parts.running import Stopped
from pipeline.parts.turns import LEASE, Turns
from pipeline.storage.backend import NoConditionalWrites
from pipeline.storage.folder import Folder
from pipeline.storage.lease import Holder, Lease
from pipeline.storage.store import Storage
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig


class Execution:
    """One of several: what it said, trained and got."""

    def __init__(self, parts: list[Part], stop: Callable[[], bool] = lambda: False) -> None:
        self.said: list[str] = []
        self.trained: list[list[str]] = []
        self.results: dict[str, dict] = {}
        self.turns = Turns(
            parts, self.results.__setitem__, self.said.append, stop, pause_seconds=0.02
        )

    def run(self, train: Callable[[Part], None] | None = None) -> "Execution":
        with self.turns as turns:
            for mine in turns:
                self.trained.append([part.name for part in mine])
                for part in mine:
                    (train or finish)(part)
        return self


@pytest.fixture
def parts(tmp_path: Path) -> list[Part]:
    config = StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(), (LevelConfig(),) * 2)
    placement = Placement({}, str(tmp_path / "runs"))
    return [Part(Identity.of_level(config, i, {"data": "d"}), placement) for i in (0, 1)]


def kept(part: Part) -> Checkpoints:
    return Checkpoints(Storage(part.placement.storage), part.folder)


def finish(part: Part) -> None:
    kept(part).storage.write_json(f"{part.folder}/{RESULT}", {"key": part.key, "by": "it"})


def lease_of(part: Part) -> Lease:
    return Lease(Storage(part.placement.storage), f"{part.folder}/{LEASE}")


def test_alone_it_trains_all_at_once_and_leaves_no_lease(parts: list[Part]) -> None:
    one = Execution(parts).run()
    assert one.trained == [["level0", "level1"]] and one.said == []
    assert not Storage(parts[0].placement.storage).exists(f"{parts[0].folder}/{LEASE}")


def test_what_is_finished_is_reused(parts: list[Part]) -> None:
    finish(parts[0])
    one = Execution(parts).run()
    assert one.trained == [["level1"]]
    assert one.results == {"level0": {"key": parts[0].key, "by": "it", "reused": True}}


def test_what_another_trains_is_waited_for_while_the_rest_goes_on(parts: list[Part]) -> None:
    other = lease_of(parts[0])
    assert other.take()

    def train(part: Part) -> None:
        finish(part)
        threading.Timer(0.1, finish, (parts[0],)).start()

    one = Execution(parts).run(train)
    assert one.trained == [["level1"]], "its own part did not wait"
    assert one.results == {"level0": {"key": parts[0].key, "by": "it", "reused": True}}
    (line,) = one.said
    assert line.startswith("level0 is being trained by ") and line.endswith("for its result")
    other.release()


def test_what_another_gave_up_comes_in_a_later_round(parts: list[Part]) -> None:
    other = lease_of(parts[0])
    assert other.take()
    threading.Timer(0.2, other.release).start()
    assert Execution(parts).run().trained == [["level1"], ["level0"]]


def test_a_training_that_fails_gives_its_leases_back(parts: list[Part]) -> None:
    def fail(part: Part) -> None:
        raise UserError("bad data")

    with pytest.raises(UserError, match="bad data"):
        Execution(parts).run(fail)
    assert all(lease_of(part).take() for part in parts)


def test_a_stop_ends_the_waiting(parts: list[Part]) -> None:
    other = lease_of(parts[0])
    assert other.take()
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(Stopped):
        Execution(parts[:1], stop.is_set).run()
    other.release()


def test_a_lost_lease_stops_the_training_and_says_who_has_it(parts: list[Part]) -> None:
    one = Execution(parts[:1])

    def train(part: Part) -> None:
        theirs = replace(Holder.this_process(5), token="theirs", who="ann@far")
        Storage(part.placement.storage).write_json(f"{part.folder}/{LEASE}", vars(theirs))
        one.turns._leases[part.name]._beat()
        assert one.turns.should_stop()
        raise Stopped

    with pytest.raises(UserError, match=r"level0: its lease was taken over by ann@far, .* kept"):
        one.run(train)


def test_where_no_lease_can_be_kept_it_is_said_once(parts: list[Part], tmp_path: Path) -> None:
    class Plain(Folder):
        def create(self, key: str, content: bytes) -> bool:
            raise NoConditionalWrites("none here")

    parts = [part.placed(storage=Plain(tmp_path / "runs")) for part in parts]
    one = Execution(parts).run()
    assert one.trained == [["level0", "level1"]]
    (line,) = one.said
    assert line.startswith(f"{tmp_path / 'runs'} knows no conditional writes")
