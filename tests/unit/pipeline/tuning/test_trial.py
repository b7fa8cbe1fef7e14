"""A trial's training is looked at, and is the same training."""

from typing import Any

import pytest

from pipeline.params.settings import EvaluateConfig
from pipeline.parts.worker import train_part
from pipeline.scores.inputs import unheard
from pipeline.tuning.records import FAILED
from pipeline.tuning.trial import Watching, look_at, measure_part
from pipeline.tuning.yardstick import Measured, Yardstick, yardstick


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


def test_a_look_says_whether_the_trial_has_collapsed():
    sound = look_at(3, 500, Measured(0.4, 0.5), 0.3, final=True)
    assert (sound.objective, sound.collapsed, sound.final) == (0.4, False, True)
    assert look_at(3, 500, Measured(0.4, 0.2), 0.3).collapsed
    broken = look_at(3, 500, Measured(float("inf"), 0.0), 0.3)
    assert (broken.frechet, broken.objective, broken.collapsed) == (None, FAILED, True)
