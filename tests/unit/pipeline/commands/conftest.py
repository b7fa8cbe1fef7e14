"""A small stack of random weights, and a real evaluation's scores."""

from pathlib import Path

import pytest
import torch

from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack
from sgan.weights import save_stack


@pytest.fixture(scope="session")
def scores_json() -> Path:
    """Six scores of an evaluation of 10,000 MNIST samples, as the stage wrote them."""
    return Path(__file__).with_name("scores.json")


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-level stack for 28x28x1 with random weights: sampling works, digits it has none."""
    torch.manual_seed(3)
    level = LevelConfig(z_dim=4, batch_size=10, total_images=10)
    config = StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(cut=("fc",)), (level, level))
    stack = Stack(config).eval()
    for parameter in stack.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter)
    path = tmp_path_factory.mktemp("weights") / "stack.safetensors"
    save_stack(path, stack, {})
    return path


@pytest.fixture(autouse=True)
def _empty_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in a folder that holds nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
