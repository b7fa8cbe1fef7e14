"""One round: `dvc repro` until it has run through, with kills at seeded random moments."""

import random
import time
from collections.abc import Callable

from pipeline.processes import is_alive
from pipeline.stages import ORDER
from tests.chaos import checks, faults
from tests.chaos.faults import Fault
from tests.chaos.record import Kill, Record
from tests.chaos.world import DONE, Round, World, parts_of

_LONGEST_S = 1800.0
_POLL_S = 0.2


class Hammer:
    """
    Args:
        world: what breaks.
        record: what happened.
        rng: of the moments.
        pause: seconds between going on after a kill and the next, at least and at most.
        gone_s: seconds in which what is told to stop has to be gone.
    """

    def __init__(
        self,
        world: World,
        record: Record,
        rng: random.Random,
        pause: tuple[float, float],
        gone_s: float,
    ) -> None:
        self.world, self.record, self.rng, self.pause = world, record, rng, pause
        self.gone_s = gone_s

    def quiet(self, round_: Round) -> None:
        """A round in which nothing is broken."""
        began = time.monotonic()
        round_.begin()
        assert round_.repro is not None
        code = round_.repro.wait(_LONGEST_S)
        took = time.monotonic() - began
        assert code == 0, round_.log_file().read_text()
        self.record.notes.append(f"quiet round, storage {round_.storage}: {took:.0f} s")

    def round(self, round_: Round, waiting: list[Fault], most: int) -> None:
        """Kill at most `most` times, by the faults that wait and fit, then let it end.

        Faults that acted are taken off the list.
        """
        done = 0
        round_.begin()
        while True:
            fault = next((f for f in waiting if f.storage in ("", round_.storage)), None)
            if fault is None or done == most or not self._at_work(round_):
                if not self._go_on(round_):
                    return
                if round_.ended() == 0:
                    return
                continue
            kill = self._one(round_, fault)
            if kill is None:  # its target did not appear: another is tried meanwhile
                waiting.append(waiting.pop(waiting.index(fault)))
                continue
            waiting.remove(fault)
            done += 1

    def _at_work(self, round_: Round) -> bool:
        """A random pause once a stage runs; False where `dvc repro` has ended before."""
        self._until(lambda: round_.stage_processes() or round_.ended() is not None, _LONGEST_S)
        until = time.monotonic() + self.rng.uniform(*self.pause)
        while time.monotonic() < until:
            if round_.ended() is not None:
                return False
            time.sleep(_POLL_S)
        return True

    def _go_on(self, round_: Round) -> bool:
        """Wait for the end, starting again what failed; False where it does not come."""
        for _ in range(3):
            assert round_.repro is not None
            if self._until(lambda: round_.ended() is not None, _LONGEST_S) is None:
                self.record.wrong.append(f"round {round_.number}: no end in {_LONGEST_S:.0f} s")
                return False
            if round_.ended() == 0:
                return True
            self._tell(round_, f"round {round_.number}, with nothing broken")
            self.world.mend()
            round_.begin()
        self.record.wrong.append(f"round {round_.number}: does not run through")
        return False

    def _one(self, round_: Round, fault: Fault) -> Kill | None:
        """One kill, and what becomes of it; None where its target did not appear."""
        kill = Kill(fault.name, "", f"{round_.number} {round_.storage}", "")
        deadline = time.monotonic() + 30
        while not kill.what:
            if fault.stops:
                self._going(round_)
            reached, stages = round_.reached(), round_.stages()
            kill.moment = _moment(reached, stages)
            kill.what = fault.act(self.world, round_, self.rng)
            if not kill.what:
                if round_.ended() is not None or time.monotonic() > deadline:
                    return None
                time.sleep(_POLL_S)
        self.record.kills.append(kill)
        began = time.monotonic()
        say(f"{len(self.record.kills)} {fault.name}: {kill.what} at {kill.moment}")
        if fault.stops:
            reached = self._stopped(round_, kill, reached)
        if fault.stops == "stage":
            self._until(lambda: round_.ended() is not None, 60)
        time.sleep(self.rng.uniform(*fault.seconds))
        self._mend(round_, fault)
        self._recover(round_, kill, reached, stages, began)
        return kill

    def _going(self, round_: Round) -> None:
        """Wait until all that trains has saved: what has only just started has nothing to save."""
        first = round_.reached()

        def saved() -> bool:
            now = round_.reached()
            parts = parts_of(self.world.training())
            grown = all(now.get(part, 0) > first.get(part, 0) for part in parts)
            return (bool(parts) and grown) or round_.ended() is not None

        self._until(saved, 20)

    def _mend(self, round_: Round, fault: Fault) -> None:
        if fault.after:
            fault.after(round_)
        faults.roomy_workers(self.world)
        # A head that is gone takes the driver with it, in its own time and words.
        if fault.name in ("head", "gcs"):
            self._until(lambda: round_.ended() is not None, 90)
        self.world.mend()

    def _stopped(self, round_: Round, kill: Kill, reached: dict[str, int]) -> dict[str, int]:
        """Wait until what was told to stop is gone; what is then saved, more than before."""
        began = time.monotonic()
        self._until(lambda: not any(is_alive(process) for process in self.world.told), 60)
        kill.gone = time.monotonic() - began
        if kill.gone > self.gone_s:
            self.record.wrong.append(f"{kill.fault}: gone after {kill.gone:.1f} s")
        after = round_.reached()
        if not any(after.get(part, 0) > reached.get(part, 0) for part in after):
            self.record.wrong.append(f"{kill.fault} at {kill.moment}: no checkpoint was saved")
        return after

    def _recover(
        self,
        round_: Round,
        kill: Kill,
        reached: dict[str, int],
        stages: list[str],
        began: float,
    ) -> None:
        outcomes = []

        def further() -> bool:
            if len(round_.stages()) > len(stages) or round_.ended() == 0:
                return True
            now = round_.reached()
            waited = [part for part, step in reached.items() if step < DONE]
            if not waited:
                return len(now) > len(reached)
            return all(now.get(part, 0) > reached[part] for part in waited)

        for _ in range(4):
            self._until(lambda: round_.ended() is not None or further(), _LONGEST_S / 3)
            if round_.ended() is None or round_.ended() == 0:
                break
            outcomes.append(self._tell(round_, f"{kill.fault} at {kill.moment}"))
            left = checks.processes(self.world, round_)
            self.record.wrong += [f"{kill.fault} at {kill.moment}: {what}" for what in left]
            self.world.mend()
            reached = round_.reached()  # what was saved at the end is not going on
            round_.begin()
        else:
            self.record.wrong.append(f"{kill.fault} at {kill.moment}: does not go on")
        if round_.ended() == 0 or further():
            kill.seconds = time.monotonic() - began
        kill.outcome = "; started again after: ".join(["went on", *outcomes])
        self.record.save()

    def _tell(self, round_: Round, when: str) -> str:
        """The last line of a `dvc repro` that failed, and what is wrong with what it printed."""
        self.record.wrong += [f"{when}: {what}" for what in checks.told(round_, round_.starts)]
        lines = round_.log_file().read_text(errors="replace").splitlines()
        said = [line for line in lines if line.startswith(checks.OURS)]
        return f"exit {round_.ended()} “{(said or lines or ['nothing'])[-1][:140]}”"

    def _until(self, true: Callable[[], object], seconds: float) -> float | None:
        """Seconds until it is true; None where it is not in that time."""
        began = time.monotonic()
        while not true():
            if time.monotonic() - began > seconds:
                return None
            time.sleep(_POLL_S)
        return time.monotonic() - began


def _moment(reached: dict[str, int], stages: list[str]) -> str:
    """`levels: level0 12, level1 done`."""
    stage = stages[-1] if stages else "start"
    parts = [
        f"{part} {'done' if step == DONE else step}"
        for part, step in sorted(reached.items())
        if stages and (step < DONE or ORDER.index(stage) <= ORDER.index("levels"))
    ]
    return f"{stage}: {', '.join(parts)}" if parts else stage


def say(text: str) -> None:
    """A line for who watches."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
