"""What trials are measured by: real values find the floor, a collapsed level is seen to be one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.data import feature_writer
from pipeline.errors import UserError
from pipeline.params.settings import EvaluateConfig
from pipeline.scores.inputs import unheard
from pipeline.tuning.yardstick import Yardstick, yardstick
from sgan.metrics.frechet import level_distance

OPTIONS = {
    "levels": 2,
    "samples": 600,
    "seed": 1,
    "settings": EvaluateConfig(judge_epochs=0.2),
    "device": "cpu",
    "precision": "float32",
    "threads": 1,
}


def made(inputs: dict[str, str], level: int, storage: Path, **changes: object) -> Yardstick:
    options = {**OPTIONS, "level": level, "storage": str(storage), **changes}
    return yardstick(inputs, storage, unheard, **options)  # type: ignore[arg-type]


class FakeLevel(torch.nn.Module):
    """A level that gives what a function makes of its condition and its noise."""

    def __init__(self, make, offset=0.0) -> None:
        super().__init__()
        self.make, self.offset = make, torch.tensor(offset)
        self.config = type("Config", (), {"z_dim": 4})

    def generate(self, cond: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return self.make(cond, z)


def test_real_values_are_at_the_floor_and_a_constant_is_far_and_collapsed(features, tmp_path):
    found = made(features, 1, tmp_path)
    h1 = torch.from_numpy(np.load(_columns(features, tmp_path)))
    y = torch.from_numpy(np.load(tmp_path / "y.npy"))
    rows = [torch.nonzero(y == k).flatten() for k in range(10)]

    def real(cond: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        picks = (z[:, 0] * 150).long()
        return torch.stack([h1[rows[int(k)][p]] for k, p in zip(cond, picks, strict=True)])

    good = found.measure(FakeLevel(real))  # type: ignore[arg-type]
    assert good.frechet == pytest.approx(found.floor, rel=0.5)
    assert 0.8 < good.diversity < 1.2
    means = torch.stack([h1[own].mean(0) for own in rows])
    flat = found.measure(FakeLevel(lambda cond, z: means[cond]))  # type: ignore[arg-type]
    assert flat.frechet > 5 * found.floor
    assert flat.diversity == 0
    nan = found.measure(FakeLevel(lambda cond, z: means[cond] * float("nan")))  # type: ignore[arg-type]
    assert (nan.frechet, nan.diversity) == (float("inf"), 0.0)


def _columns(features: dict[str, str], folder: Path) -> Path:
    from pipeline.data.features import read

    np.save(folder / "y.npy", read(features["features"], "y").numpy())
    np.save(folder / "h1.npy", read(features["features"], "h1").numpy())
    return folder / "h1.npy"


def test_the_distance_is_that_of_the_evaluation_for_the_same_values(features, tmp_path, rng):
    found = made(features, 1, tmp_path)
    values = torch.from_numpy(rng.normal(size=(len(found.cond), 256)).astype(np.float32))
    given = iter(values.split(500))

    def make(cond: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return next(given, torch.zeros(len(cond), 256))

    measured = found.measure(FakeLevel(make))  # type: ignore[arg-type]
    rows = np.random.default_rng([1, 1]).permutation(2000)[:600]
    h1 = torch.from_numpy(np.load(_columns(features, tmp_path))[rows])
    assert measured.frechet == pytest.approx(level_distance(h1, values), rel=1e-6)


def test_two_looks_are_the_same_and_another_seed_is_another_yardstick(features, tmp_path):
    level = FakeLevel(lambda cond, z: z.repeat(1, 64) + cond[:, None])  # type: ignore[arg-type]
    one, same, other = (made(features, 1, tmp_path, seed=seed) for seed in (1, 1, 2))
    assert one.measure(level) == one.measure(level) == same.measure(level)  # type: ignore[arg-type]
    assert one.measure(level) != other.measure(level)  # type: ignore[arg-type]


def test_images_are_seen_by_the_judge_and_not_by_e(project, features, tmp_path):
    """Level 0's pixels reach a judge whose weights are kept, for the next search."""
    inputs = {**features, "data": str(project / "artifacts/data")}
    found = made(inputs, 0, tmp_path, samples=200)
    assert found.judge is not None and found.real.mean.shape == (128,)
    assert found.cond.shape == (200, 256)
    assert list((tmp_path / "judge").iterdir())
    grey = found.measure(FakeLevel(lambda cond, z: torch.full((len(cond), 1, 28, 28), 0.5)))  # type: ignore[arg-type]
    assert grey.frechet > 5 * found.floor and grey.diversity == 0


def test_what_cannot_be_measured_by_is_refused(features, tmp_path, rng):
    gone = str(tmp_path / "gone.arrow")
    with pytest.raises(UserError, match="does not exist"):
        made({"features": gone}, 1, tmp_path)
    few = tmp_path / "few.arrow"
    feature_writer.write(
        few, {"h1": rng.normal(size=(9, 4)).astype(np.float32), "y": np.arange(9) % 3}
    )
    with pytest.raises(UserError, match="9 training images are too few"):
        made({"features": str(few)}, 1, tmp_path)
    flat = tmp_path / "flat.arrow"
    feature_writer.write(flat, {"h1": np.ones((40, 4), np.float32), "y": np.arange(40) % 3})
    with pytest.raises(UserError, match="do not vary"):
        made({"features": str(flat)}, 1, tmp_path)
