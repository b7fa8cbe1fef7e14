"""ASHA that remembers what a search that was killed had found."""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pipeline.tuning.asha import RememberingASHA
from pipeline.tuning.records import Look, Records


def trial(number: int) -> Any:
    return SimpleNamespace(trial_id=f"id{number}", config={"trial": number})


def look(number: int, images: int, goal: float) -> Look:
    return Look(number, images, goal, 0.5, goal, False)


def decisions(scheduler: RememberingASHA, looks: list[Look]) -> list[str]:
    return [
        scheduler.on_trial_result(None, trial(one.trial), asdict(one))  # type: ignore[arg-type]
        for one in looks
    ]


def test_at_a_rung_the_best_third_goes_on_and_at_the_end_all_stop(tmp_path: Path) -> None:
    scheduler = RememberingASHA(tmp_path / "none.json", 900, reduction=3, rungs=2)
    for number in range(4):
        scheduler.on_trial_add(None, trial(number))
    looks = [look(0, 100, 1.0), look(1, 100, 2.0), look(2, 100, 0.5), look(3, 50, 9.0)]
    assert decisions(scheduler, looks) == ["CONTINUE", "STOP", "CONTINUE", "CONTINUE"]
    assert decisions(scheduler, [look(3, 100, 0.9)]) == ["STOP"]
    assert decisions(scheduler, [look(2, 300, 0.4), look(0, 300, 0.6)]) == ["CONTINUE", "STOP"]
    assert decisions(scheduler, [look(2, 900, 0.3)]) == ["STOP"]


def test_what_was_found_before_counts_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "looks.json"
    records = Records(file)
    for one in (look(0, 100, 1.0), look(0, 200, 0.8), look(1, 100, 0.9)):
        records.add(one)
    again = RememberingASHA(file, 900, reduction=3, rungs=2)
    new = RememberingASHA(tmp_path / "none.json", 900, reduction=3, rungs=2)
    for scheduler in (again, new):
        for number in range(3):
            scheduler.on_trial_add(None, trial(number))
    assert decisions(again, [look(2, 100, 1.5)]) == ["STOP"]
    assert decisions(new, [look(2, 100, 1.5)]) == ["CONTINUE"]
