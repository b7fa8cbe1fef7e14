"""A trial's training is looked at, and is the same training."""

import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.params.settings import EvaluateConfig
from pipeline.parts.recipes import level
from pipeline.parts.sink import ActorSender, MetricHub, PartSink, Picture
from pipeline.parts.worker import train_part
from pipeline.scores.inputs import unheard
from pipeline.tuning import trial
from pipeline.tuning.records import FAILED
from pipeline.tuning.trial import Plan, Watching, look_at, measure_part, run_trial
from pipeline.tuning.yardstick import Measured, Yardstick, yardstick
from sgan.training.loop import TrainingStopped


@pytest.fixture
def ruler(features, tmp_path) -> Yardstick:
    """Of level 1."""
    return yardstick(
        features,
        tmp_path,
        unheard,
        level=1,
        levels=2,
        samples=200,
        seed=1,
        settings=EvaluateConfig(),
        storage=str(tmp_path),
        device="cpu",
        precision="float32",
        threads=1,
    )


@pytest.mark.parametrize("ema", [0, 500])
def test_the_weights_are_the_same_bits_with_and_without_measuring(top_part, ruler, ema):
    told: list[tuple[int, Measured]] = []
    watch = Watching(300, ruler, lambda images, measured: told.append((images, measured)))
    quiet = top_part("quiet", ema_half_life_images=ema)
    watched = top_part("watched", ema_half_life_images=ema)
    assert quiet.key == watched.key
    plain = train_part(quiet, lambda *_: None)
    looked = train_part(watched, lambda *_: None, watch=watch)
    assert looked["weights_sha256"] == plain["weights_sha256"]
    assert looked["curve"] == plain["curve"]
    assert [images for images, _ in told] == [300, 600, 900, 1200, 1500, 1800]
    assert len({measured for _, measured in told}) == 6
    assert measure_part(watched, ruler) == measure_part(quiet, ruler)


def test_a_look_is_what_the_weights_would_be_measured_as_if_training_ended_there(top_part, ruler):
    """The last look of one training, and the result of another that ends at that step."""
    told: list[Any] = []
    watch = Watching(1000, ruler, lambda *found: told.append(found))
    train_part(top_part("long"), lambda *_: None, watch=watch)
    short = top_part("short", total_images=1000)
    train_part(short, lambda *_: None)
    assert told == [(1000, measure_part(short, ruler))]


def test_a_trial_reports_what_a_part_does_under_its_own_number():
    hub, rows = MetricHub(), [{"images_seen": 900.0, "level1/loss_d": 0.7}]
    sender = ActorSender(SimpleNamespace(report=SimpleNamespace(remote=hub.report)))
    with PartSink("level1", 900, trial._As(sender, "3"), rows=rows) as sink:
        sink.step(900, {"level1/loss_d": 0.7})
        sink.show("features", lambda: b"png")
    (report,) = hub.drain()
    assert (report.part, report.images_seen, report.curve) == ("3", 900, rows)
    assert report.picture == Picture("features", b"png")


def test_a_look_says_whether_the_trial_has_collapsed():
    sound = look_at(3, 500, Measured(0.4, 0.5), 0.3, final=True)
    assert (sound.objective, sound.collapsed, sound.final) == (0.4, False, True)
    assert look_at(3, 500, Measured(0.4, 0.2), 0.3).collapsed
    broken = look_at(3, 500, Measured(float("inf"), 0.0), 0.3)
    assert (broken.frechet, broken.objective, broken.collapsed) == (None, FAILED, True)


def failed(*_: object, **__: object) -> None:
    raise TrainingStopped("step 9: loss_d is nan")


def told_of(error: Exception, workers: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a trial of so many workers tells the search where its training raises `error`."""

    def raises(*_: object) -> None:
        raise error

    told: list[dict[str, Any]] = []
    monkeypatch.setattr(trial, "_alone" if workers == 1 else "_together", raises)
    monkeypatch.setattr(trial, "Listener", lambda bell: lambda: False)
    monkeypatch.setattr(trial._Stop, "tell", lambda self, values: told.append(values))
    parts: Any = [SimpleNamespace(workers=workers)]
    nothing: Any = SimpleNamespace(unpack=lambda: None)
    run_trial({"trial": 0}, Plan(parts, nothing, 300, 0.3, nothing, None, nothing))
    (found,) = told
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_a_training_that_diverges_is_a_failed_trial_in_whichever_process(
    top_part, monkeypatch, workers
):
    monkeypatch.setattr(level, "train", failed)
    with pytest.raises(UserError, match="level1: step 9: loss_d is nan") as caught:
        train_part(top_part(), lambda *_: None)
    error = pickle.loads(pickle.dumps(caught.value))  # as a worker's comes to its trial
    found = told_of(error, workers, monkeypatch)
    assert (found["failed"], found["objective"]) == (str(error), FAILED)


def test_what_a_person_has_to_mend_ends_the_search(monkeypatch):
    found = told_of(UserError("no such data"), 2, monkeypatch)
    assert found == {"trial": 0, "error": "no such data"}
