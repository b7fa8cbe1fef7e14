"""Scores of a stack that draws the training images are at their floor; judges that are none."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.npz import scores
from benchmarks.npz.data import BadInput, Data
from benchmarks.train_npz import said

CPU = torch.device("cpu")


class Corners:
    """A judge whose features are four pixels, and who reads the class in the first."""

    name, slug, identity, num_classes = "corners", "corners", "c" * 64, 3
    asked = 0

    def outputs(self, images: np.ndarray, progress: Any = None) -> tuple[np.ndarray, np.ndarray]:
        Corners.asked += len(images)
        features = images.reshape(len(images), -1)[:, [0, 3, 12, 15]].astype(np.float32)
        return features, np.eye(3)[images[:, 0, 0, 0] % 3]

    def protocol(self) -> dict[str, str]:
        return {"judge": self.name}


@pytest.fixture
def data() -> Data:
    drawn = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (300, 1, 4, 4), generator=drawn, dtype=torch.uint8)
    y = torch.arange(300) % 3
    pixels[:, 0, 0, 0] = y.to(torch.uint8)
    return Data(pixels, y, pixels[:90].flip(2), y[:90], "digest")


def drawing(images: torch.Tensor) -> Any:
    """A stack that draws these in turn."""
    left = iter(images.permute(0, 2, 3, 1).split(len(images)))
    return SimpleNamespace(
        eval=lambda: None, sample_uint8=lambda y, generator: next(left)[: len(y)]
    )


def test_training_images_for_samples_are_at_their_floor(data: Data, tmp_path: Path) -> None:
    judges: Any = [Corners()]
    found = scores.measure(drawing(data.train), data, judges, 300, 0, tmp_path)
    row = found["corners"]
    assert row["fid"] == pytest.approx(0, abs=1e-6) and row["fid_test_images"] > 1
    assert row["gan_test"] == 1 and row["n_fake"] == row["n_real"] == 300 and row["n_test"] == 90
    asked = Corners.asked
    other = scores.measure(drawing(255 - data.train), data, judges, 300, 0, tmp_path)
    assert Corners.asked == asked + 390  # the training images' moments are kept
    assert other["corners"]["fid"] > 100 and other["corners"]["gan_test"] < 0.5
    assert said(other).startswith("FID (corners) ") and said(other).endswith("300 samples")


def test_a_judges_speed(data: Data) -> None:
    judges: Any = [Corners()]
    assert 0 < scores.seconds_of(judges, 1000, (4, 4, 1)) < 5
    assert scores.seconds_of([], 1000, (4, 4, 1)) == 0


def test_judges_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scores.judges("none", None, CPU) == ([], [])
    damaged = tmp_path / "weights.safetensors"
    damaged.write_bytes(b"nothing")
    with pytest.raises(BadInput, match=r"^--inception .*is no Inception 2015-12-05 file"):
        scores.judges(str(damaged), None, CPU)
    with pytest.raises(BadInput, match=r"^--resnet56 .*weights.safetensors: no weights of it"):
        scores.judges("none", damaged, CPU)

    def away(weights: str | None) -> Any:
        raise scores.UserError("no source answered")

    monkeypatch.setattr(scores, "inception_state", away)
    found, missing = scores.judges("auto", None, CPU)
    assert found == [] and missing == ["FID on Inception is not measured: no source answered"]
