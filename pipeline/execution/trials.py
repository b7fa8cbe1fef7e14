"""The trials of a search as they go on: a line for a person and an MLflow run for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from pipeline.errors import UserError
from pipeline.parts.part import Part
from pipeline.parts.sink import Report
from pipeline.parts.training import log_curve
from pipeline.tuning.outcome import Tried
from pipeline.tuning.records import Look
from pipeline.tuning.space import Setting

if TYPE_CHECKING:
    from pipeline.tracking.run import StageRun

Say = Callable[[str], None]


class Trials:
    """The trials as they go on: a line and an MLflow run each.

    Context manager, in which the search runs: what cuts that short ends the runs of the trials that
    go on, and those that had ended by then are FINISHED.

    Attributes:
        ended: numbers of the trials that have ended.
    """

    def __init__(
        self,
        run: StageRun,
        name: str,
        settings: Sequence[Setting],
        parts: Sequence[Part],
        say: Say,
    ) -> None:
        """
        Args:
            run: of the search.
            name: of the level's part.
            settings, parts: by a trial's number.
            say: takes a line for a person.
        """
        self._run, self._name, self._say = run, name, say
        self._settings, self._parts = settings, parts
        self._runs: dict[int, StageRun] = {}
        self.ended: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number in self.ended if kind is not None else ():
            with suppress(UserError):  # must not hide what ended the search
                self._runs[number].finish(patient=False)

    def run_of(self, number: int) -> StageRun:
        """A trial's MLflow run."""
        from sgan.config import to_dict

        if number not in self._runs:
            part, name = self._parts[number], self._name
            self._runs[number] = self._run.child(
                f"tune/{name}/trial{number}",
                part.key,
                {name: to_dict(part.identity.settings)},
                {"sgan.trial": number},
            )
        return self._runs[number]

    def on_report(self, report: Report) -> None:
        """Losses of a trial, whose number is the report's part, and perhaps a picture."""
        run = self.run_of(int(report.part))
        log_curve(run, self._name, report.curve, report.images_per_second)
        if report.picture is not None:
            run.log_image(report.picture.key, report.picture.png, report.images_seen)

    def on_look(self, look: Look, ended: bool) -> None:
        """A look at a trial."""
        name, total = self._name, self._parts[0].identity.total_images
        run = self.run_of(look.trial)
        if look.frechet is not None:
            values = {"frechet": look.frechet, "diversity": look.diversity}
            run.log_metrics([(f"{name}/{k}", v, look.images_seen) for k, v in values.items()])
        if ended:
            self.ended.add(look.trial)
            fate = Tried(look.trial, self._settings[look.trial], "", (look,)).fate
            run.set_tags({"sgan.trial_fate": fate})
            if look.reused:
                run.mark_reused()
        self._say(line(look, total, ended))


def line(look: Look, total: int, ended: bool) -> str:
    """What is told of a look, `total` being the images of a whole training."""
    if look.failed:
        return f"trial {look.trial:2d}  diverged: {look.failed}"
    shown = "not finite" if look.frechet is None else f"{look.frechet:.4f}"
    collapsed = ", collapsed" if look.final and look.collapsed else ""
    end = (", reused" if look.reused else ", done") if look.final else ", stopped" * ended
    return (
        f"trial {look.trial:2d} {look.images_seen / total:5.0%}  Fréchet distance {shown}, "
        f"diversity {look.diversity:.2f}{collapsed}{end}"
    )
