"""Progress of an evaluation: lines for steps, bars for images, no speed of what was kept."""

import io
import time

import pytest
from rich.console import Console

from pipeline.parts import progress
from pipeline.scores import shown
from pipeline.scores.shown import Shown, ShownBeside


def test_steps_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with Shown() as told:
        told("floors and ceilings", 0, 0)
    assert capsys.readouterr().out == "evaluate: floors and ceilings\n"


def test_images_are_counted_one_piece_of_work_after_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0.0)
    console = Console(file=io.StringIO(), width=200)
    with Shown(console) as told:
        for what in ("CAS, real images", "CAS"):
            for done in (600, 1200):
                told(what, done, 1200)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "CAS, real images: 1.20k/1.20k images (100%)" in said
    assert "CAS: 1.20k/1.20k images (100%)" in said


def test_speed_is_of_what_was_computed_not_of_what_was_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    speed = shown._Speed()
    speeds = []
    for seconds, done in ((0.001, 1000), (0.001, 2000), (2.0, 2032), (2.0, 2064)):
        clock[0] += seconds
        speeds.append(speed.at(done))
    assert speeds == pytest.approx([0, 0, 16, 16])


def test_beside_parts_in_training_images_are_counted_among_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0.0)
    console = Console(file=io.StringIO(), width=200)
    with progress.TrainingProgress({"level0": 100}, console) as shared:
        told = ShownBeside(shared)
        told("floors and ceilings", 0, 0)
        for done in (600, 1200):
            told("judge", done, 1200)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert "real images: judge: 600/1.20k images (50%)" in lines[0]
    assert lines[-1] == "real images: judge: done"
