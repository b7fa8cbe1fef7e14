"""Work beside parts in training, on a local Ray of two cores: when it begins, ends and fails."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.cluster.beside import Aside, Beside
from pipeline.cluster.errand import Errand
from pipeline.cluster.room import Need
from pipeline.cluster.supply import Bundle
from pipeline.errors import UserError

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(400),
    pytest.mark.usefixtures("two_cpus"),
]

FULL = [Need("level0", {"CPU": 1.0}), Need("level1", {"CPU": 1.0})]
ROOM = FULL[:1]


def work(inputs, out, told, *, pieces, mark, seconds):
    """Counts to four in each piece, so many seconds behind each number, and leaves a mark."""
    for piece in range(pieces):
        for done, pause in enumerate(seconds, 1):
            told(f"piece {piece}", done, 4)
            time.sleep(pause)
        (Path(mark) / str(piece)).write_text(Path(inputs["file"]).read_text())


def fail(inputs, out, told):
    raise UserError("the disk is full; make room")


class Run:
    """One `Beside`, and what it said."""

    def __init__(self, folder: Path, seconds=(0.25, 0.25, 0.25, 0.25), **errand) -> None:
        (folder / "in").write_text("bytes")
        self.marks, self.asked, self.told, self.said = folder / "marks", 0, [], []
        self.marks.mkdir()
        settings = {"pieces": 2, "mark": str(self.marks), "seconds": seconds}
        self.errand = Errand("aside", **{"work": work, "settings": settings, "threads": 1} | errand)
        inputs = {"file": Bundle(folder / "in", "digest")}
        self.aside: Aside | None = Aside(self.errand, inputs, "evaluate")
        self.beside = Beside(
            self.make, {"CPU": 1.0}, lambda *one: self.told.append(one), self.said.append
        )

    def make(self) -> Aside | None:
        self.asked += 1
        return self.aside

    def look_until(self, condition) -> None:
        end = time.monotonic() + 300
        while not condition():
            assert time.monotonic() < end, (self.told, self.said)
            self.beside.look(ROOM)
            time.sleep(0.05)

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.marks.iterdir())


def test_it_waits_for_room_and_then_runs_to_its_end(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for _ in range(3):
        run.beside.look(FULL)
    assert run.asked == 0
    run.look_until(lambda: run.left == ["0", "1"] and run.beside._over)
    assert run.asked == 1 and run.told[-1] == ("piece 1", 4, 4)
    run.beside.finish(lambda: False)
    run.beside.look(ROOM)
    assert run.asked == 1 and run.said == []


def test_nothing_to_do_starts_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.aside = None
    for _ in range(3):
        run.beside.look(ROOM)
    run.beside.finish(lambda: False)
    assert run.asked == 1 and run.told == run.said == run.left == []


def test_a_piece_that_is_mostly_done_is_ended_and_no_other_begun(tmp_path: Path) -> None:
    run = Run(tmp_path, seconds=(0.5, 1.0, 0.1, 0.1))
    run.look_until(lambda: ("piece 0", 2, 4) in run.told)
    run.beside.finish(lambda: False)
    assert run.left == ["0"]
    assert run.said == ["aside: evaluate does the rest"]


def test_a_piece_that_is_kept_in_portions_is_not_waited_for(tmp_path: Path) -> None:
    run = Run(tmp_path, seconds=(0.5, 60.0, 0.1, 0.1))
    assert run.aside is not None
    run.aside = replace(run.aside, in_portions=("e 0", ", test"))
    run.look_until(lambda: ("piece 0", 2, 4) in run.told)
    began = time.monotonic()
    run.beside.finish(lambda: False)
    assert time.monotonic() - began < 4 and run.left == []


def test_a_piece_that_has_just_begun_is_given_up_at_once(tmp_path: Path) -> None:
    run = Run(tmp_path, seconds=(4.0, 0.1, 0.1, 0.1))
    run.look_until(lambda: ("piece 0", 1, 4) in run.told)
    began = time.monotonic()
    run.beside.finish(lambda: False)
    assert time.monotonic() - began < 4 and run.left == []
    time.sleep(5.0)
    assert run.left == []  # its worker is gone


def test_what_goes_wrong_with_it_is_a_line(tmp_path: Path) -> None:
    run = Run(tmp_path, work=fail, settings={})
    run.look_until(lambda: run.beside._over)
    run.beside.finish(lambda: False)
    assert run.said == ["aside: not done here (the disk is full; make room); evaluate does it"]
    (tmp_path / "other").mkdir()
    other = Run(tmp_path / "other")

    def unmade() -> Aside:
        raise UserError("storage is away")

    other.beside = Beside(unmade, {"CPU": 1.0}, lambda *_: None, other.said.append)
    other.beside.look(ROOM)
    assert other.said == ["beside the rest: not done here (storage is away); it is done later"]
