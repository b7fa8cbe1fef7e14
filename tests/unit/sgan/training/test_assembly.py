"""GAN trainings put together: what a seed draws, what the levels start from, what does not fit."""

import pytest
import torch

from sgan.config import EncoderConfig, ImageConfig, JointConfig, LevelConfig, StackConfig
from sgan.encoder import Encoder
from sgan.errors import WeightsError
from sgan.training.assembly import independent, joint
from sgan.training.classifier import pretraining

IMAGE = ImageConfig(1, 28, 28, 10)
LEVEL = LevelConfig(z_dim=4, batch_size=2, total_images=4)
CONFIG = StackConfig(IMAGE, EncoderConfig(), (LEVEL, LEVEL))


@pytest.fixture(scope="module")
def encoder() -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    return Encoder(IMAGE, EncoderConfig()).state_dict()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_a_seed_draws_the_same_nets_and_another_seed_others(encoder) -> None:
    def nets(seed: int) -> dict[str, torch.Tensor]:
        level = LevelConfig(z_dim=4, seed=seed)
        torch.rand(seed)  # what was drawn before does not count
        return independent(
            StackConfig(IMAGE, EncoderConfig(), (level, LEVEL)), 0, encoder
        ).stack.levels.state_dict()

    assert same(nets(3), nets(3))
    assert not same(nets(3), nets(4))


def test_a_level_has_the_trained_encoder_and_only_its_own_nets(encoder) -> None:
    task = independent(CONFIG, 1, encoder)
    assert task.stack.active == (1,)
    assert same(task.stack.encoder.state_dict(), encoder)
    assert not any(p.requires_grad for p in task.stack.encoder.parameters())
    assert not task.joint


def test_joint_training_starts_from_the_levels_or_from_scratch(encoder) -> None:
    levels = {i: independent(CONFIG, i, encoder).stack.level(i).state_dict() for i in (0, 1)}
    from_levels = joint(CONFIG, JointConfig(seed=7), encoder, levels)
    for i in (0, 1):
        assert same(from_levels.stack.level(i).state_dict(), levels[i])
    scratch = joint(CONFIG, JointConfig(seed=7, init="scratch"), encoder, {})
    for i in (0, 1):
        assert not same(scratch.stack.level(i).state_dict(), levels[i])
    assert same(scratch.stack.encoder.state_dict(), encoder)
    assert (scratch.joint, scratch.seed) == (True, 7)


def test_weights_of_other_nets_are_refused_by_name(encoder) -> None:
    wide = StackConfig(IMAGE, EncoderConfig(cut=("conv2", "fc")), (LEVEL,) * 3)
    with pytest.raises(WeightsError, match="weights of the encoder do not fit"):
        independent(wide, 0, encoder)
    other = StackConfig(IMAGE, EncoderConfig(), (LEVEL, LevelConfig(z_dim=5)))
    levels = {i: independent(CONFIG, i, encoder).stack.level(i).state_dict() for i in (0, 1)}
    with pytest.raises(WeightsError, match="weights of level 1 do not fit"):
        joint(other, JointConfig(), encoder, levels)


def test_a_centred_encoder_needs_the_mean_image() -> None:
    image = ImageConfig(3, 32, 32, 10, "pixel_mean")
    config = EncoderConfig(architecture="cifar10")
    with pytest.raises(ValueError, match="the training images' mean is needed"):
        pretraining(image, config)
    mean = torch.full(image.shape, 0.25)
    task = pretraining(image, config, mean)
    assert torch.equal(task.encoder.mean_image, mean)
    assert torch.equal(task.to_h0(torch.zeros(1, *image.shape, dtype=torch.uint8)), -mean[None])
