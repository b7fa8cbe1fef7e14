"""The entropy budget of stacks whose G and Q are known."""

import math

import pytest
import torch

from pipeline.scores.entropy import entropy_scores
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack


@pytest.fixture
def stack() -> Stack:
    torch.manual_seed(3)
    levels = (LevelConfig(z_dim=4), LevelConfig(z_dim=3))
    return Stack(StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(), levels)).eval()


def test_a_generator_that_ignores_its_noise_brings_nothing(stack: Stack) -> None:
    found = {score.key: score for score in entropy_scores(stack, 0, count=400)}
    assert list(found) == [
        "entropy_y", "level1/entropy", "entropy_z1", "entropy_z0"
    ]  # fmt: skip
    for key in ("level1/entropy", "entropy_z1", "entropy_z0"):
        assert abs(found[key].value or 0) < 0.3, key
    assert found["level1/entropy"].level == 1 and found["entropy_z0"].varies == "z_0"
    assert found["entropy_z0"].protocol["n_fake"] == 400


def test_bits_that_lie_in_the_image_are_read_there_and_bits_on_the_way_where_they_are(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G_0 draws z_0 as grey values and drops z_1, which ĥ_1 held."""

    def image(cond: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(z[:, None, None, :], (0, 24, 0, 27))

    def features(cond: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(z, (0, 253))

    monkeypatch.setattr(stack.level(0), "generate", image)
    monkeypatch.setattr(stack.level(1), "generate", features)
    monkeypatch.setattr(stack.level(0).discriminator, "forward", lambda h: (None, h[:, 0, 0, :4]))
    monkeypatch.setattr(stack.level(1).discriminator, "forward", lambda h: (None, h[:, :3]))
    found = {score.key: score.value or 0.0 for score in entropy_scores(stack, 0, count=2000)}
    grey = 4 * math.log2(256)  # all that 256 grey values can hold of four numbers
    assert grey - 6 < found["entropy_z0"] <= grey
    assert found["level1/entropy"] > 3 * 8
    assert found["entropy_z1"] < 1


def test_the_same_seed_gives_the_same_bits(stack: Stack) -> None:
    assert entropy_scores(stack, 5, 100) == entropy_scores(stack, 5, 100)
