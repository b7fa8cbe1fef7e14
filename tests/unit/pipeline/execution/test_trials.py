"""What is told of trials as they go on."""

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.execution.trials import Trials, line
from pipeline.parts.sink import Picture, Report
from pipeline.tuning.records import FAILED, Look
from pipeline.tuning.space import Setting
from sgan.config import LevelConfig


@pytest.mark.parametrize(
    ("look", "ended", "told"),
    [
        (Look(3, 100, 0.5, 0.4, 0.5, False), False, "11%  Fréchet distance 0.5000, diversity 0.40"),
        (Look(3, 100, 0.5, 0.1, 0.9, True), True, "diversity 0.10, stopped"),
        (Look(3, 900, 0.5, 0.1, 0.9, True, True), True, "diversity 0.10, collapsed, done"),
        (Look(3, 900, 0.5, 0.4, 0.5, False, True, True), True, "diversity 0.40, reused"),
        (Look(3, 100, None, 0.0, FAILED, True), False, "Fréchet distance not finite"),
        (Look(3, 100, None, 0, FAILED, True, failed="loss_d is nan"), True, "diverged: loss_d is"),
    ],
)
def test_a_look_is_a_line(look: Look, ended: bool, told: str) -> None:
    assert line(look, 900, ended).startswith("trial  3 ")
    assert told in line(look, 900, ended)


class Run:
    """Notes what an MLflow run would get."""

    def __init__(self, name: str = "", params: Any = None) -> None:
        self.name, self.params = name, params
        self.children: list[Run] = []
        self.points: list[Any] = []
        self.images: list[Any] = []
        self.tags: dict[str, Any] = {}
        self.reused = False
        self.status = "RUNNING"

    def child(self, name: str, key: str, params: Any, tags: Any) -> "Run":
        self.children.append(Run(name, params))
        return self.children[-1]

    def log_metrics(self, points: Any) -> None:
        self.points += points

    def log_image(self, *image: Any) -> None:
        self.images.append(image)

    def set_tags(self, tags: Any) -> None:
        self.tags |= tags

    def mark_reused(self) -> None:
        self.reused = True

    def finish(self, status: str = "FINISHED", patient: bool = True) -> None:
        assert not patient, "a stop waits for no server"
        self.status = status


def test_each_trial_has_one_run_with_its_settings_losses_looks_and_fate() -> None:
    run, said = Run(), []  # type: ignore[var-annotated]
    identity = SimpleNamespace(settings=LevelConfig(lr_g=3e-4), total_images=900)
    part: Any = SimpleNamespace(key="key", identity=identity)
    settings = [Setting({}, LevelConfig()), Setting({"lr_g": 3e-4}, identity.settings)]
    trials = Trials(run, "level1", settings, [part, part], said.append)  # type: ignore[arg-type]
    row = {"images_seen": 50.0, "level1/loss_d": 0.7}
    trials.on_report(Report("1", 50, 900, {}, 10.0, [row], 0))
    trials.on_report(Report("1", 90, 900, {}, 10.0, [], 0, Picture("features", b"png")))
    trials.on_look(Look(1, 100, 0.5, 0.4, 0.5, False), False)
    trials.on_look(Look(1, 900, 0.3, 0.4, 0.3, False, True), True)
    trials.on_look(Look(0, 900, 0.6, 0.4, 0.6, False, True, True), True)
    first, second = run.children
    assert (first.name, second.name) == ("tune/level1/trial1", "tune/level1/trial0")
    assert first.params["level1"]["lr_g"] == 3e-4
    assert ("level1/loss_d", 0.7, 50) in first.points
    assert ("level1/frechet", 0.3, 900) in first.points
    assert (first.images, second.images) == ([("features", b"png", 90)], [])
    assert (first.tags["sgan.trial_fate"], second.tags["sgan.trial_fate"]) == ("trained", "reused")
    assert (first.reused, second.reused) == (False, True)
    assert trials.ended == {0, 1} and len(said) == 3


@pytest.mark.parametrize("cut_short", [True, False])
def test_what_cuts_a_search_short_ends_no_trial_that_had_ended(cut_short: bool) -> None:
    run = Run()
    identity = SimpleNamespace(settings=LevelConfig(), total_images=900)
    part: Any = SimpleNamespace(key="key", identity=identity)
    settings = [Setting({}, LevelConfig())] * 2
    with suppress(SystemExit), Trials(run, "level1", settings, [part] * 2, print) as trials:  # type: ignore[arg-type]
        trials.on_look(Look(0, 100, 0.9, 0.4, 0.9, False), True)
        trials.on_look(Look(1, 100, 0.5, 0.4, 0.5, False), False)
        if cut_short:
            raise SystemExit(143)
    # The others, and all of them at a search's end, end as its own run does.
    ended = "FINISHED" if cut_short else "RUNNING"
    assert [one.status for one in run.children] == [ended, "RUNNING"]
