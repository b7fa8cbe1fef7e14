"""Small real material to tune on, and a search that has ended."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.data import feature_writer
from pipeline.params.tuning import TuneConfig
from pipeline.parts.part import Identity, Part, Placement
from pipeline.scores.inputs import RealImages
from pipeline.tuning.outcome import Outcome, Tried
from pipeline.tuning.records import Look
from pipeline.tuning.space import Setting
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.encoder import Encoder
from sgan.weights import save_encoder


@pytest.fixture(scope="session")
def features(real: RealImages, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An encoder that nobody trained, and what it makes of 2,000 real digits."""
    folder = tmp_path_factory.mktemp("features")
    torch.manual_seed(0)
    encoder = Encoder(ImageConfig(1, 28, 28, 10), EncoderConfig(cut=("fc",))).freeze()
    save_encoder(folder / "encoder.safetensors", encoder, {})
    pixels = torch.tensor(real.train_images).permute(0, 3, 1, 2)
    with torch.no_grad():
        hidden = encoder.encode(encoder.to_h0(pixels))
    columns = {"h1": hidden[1].numpy(), "y": real.train_labels}
    feature_writer.write(folder / "features.arrow", columns)
    return {
        "encoder": str(folder / "encoder.safetensors"),
        "features": str(folder / "features.arrow"),
    }


@pytest.fixture
def top_part(project: Path, features: dict[str, str], tmp_path: Path) -> Callable[..., Part]:
    """`top_part(folder, **fields)`: level 1 on prepared digits, 40 steps; `fields` are its
    settings'."""

    def make(folder: str = "runs", **fields: Any) -> Part:
        settings: dict[str, Any] = {"z_dim": 4, "batch_size": 50, "total_images": 2000}
        level = LevelConfig(**{**settings, "lr_g": 5e-4, "width": 0.25, **fields})
        config = StackConfig(
            ImageConfig(1, 28, 28, 10), EncoderConfig(cut=("fc",)), (LevelConfig(), level)
        )
        where = {"data": str(project / "artifacts/data"), **features}
        return Part(
            Identity.of_level(config, 1, {"data": "small"}),
            Placement(where, str(tmp_path / folder), device="cpu"),
        )

    return make


@pytest.fixture
def ended() -> Outcome:
    """Four trials: the present settings were trained, one is better, one collapsed, one failed."""

    def look(trial: int, images: int, frechet: float | None, diversity: float, **more: Any) -> Look:
        collapsed = diversity < 0.3
        return Look(trial, images, frechet, diversity, frechet or 1e6, collapsed, **more)

    start = LevelConfig(lr_g=1e-5)

    def tried(number: int, looks: list[Look], **changes: Any) -> Tried:
        return Tried(
            number, Setting(changes, replace(start, **changes)), f"key{number}", tuple(looks)
        )

    trials = (
        tried(0, [look(0, 100, 2.0, 0.4), look(0, 900, 1.0, 0.5, final=True, reused=True)]),
        tried(1, [look(1, 100, 1.0, 0.5), look(1, 900, 0.2, 0.6, final=True)], lr_g=4e-4, z_dim=16),
        tried(2, [look(2, 100, 0.5, 0.1), look(2, 900, 0.1, 0.1, final=True)], lr_g=1e-3),
        tried(3, [look(3, 100, None, 0.0, failed="step 9: loss_d is nan")], lr_g=0.5, d_init="he"),
    )
    settings = TuneConfig(trials=4)
    return Outcome(1, settings, 900, 0.01, trials, best=1, confirmed=(0.21, 1.02))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
