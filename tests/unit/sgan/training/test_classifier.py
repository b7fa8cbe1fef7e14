"""Pretraining E: it learns, resumes bit for bit, and stops before a non-finite step."""

import io

import pytest
import torch
from torch.nn import functional as F

from sgan.config import EncoderConfig, ImageConfig
from sgan.encoder import Encoder
from sgan.training.batch import Batch
from sgan.training.batches import TensorBatches
from sgan.training.classifier import EncoderTask, accuracy
from sgan.training.loop import Hooks, fit
from sgan.training.terms import NonFiniteLoss

MNIST = ImageConfig(1, 28, 28, 10)


def bars() -> tuple[torch.Tensor, torch.Tensor]:
    """80 noisy images, a white bar at a height that is the class: easy, but not without E."""
    torch.manual_seed(0)
    y = torch.arange(80) % 10
    pixels = torch.randint(0, 60, (80, 1, 28, 28), dtype=torch.uint8)
    for row, label in enumerate(y.tolist()):
        pixels[row, 0, 2 + 2 * label : 5 + 2 * label] += 190
    return pixels, y


def make(config: EncoderConfig, seed: int = 0) -> tuple[EncoderTask, TensorBatches]:
    torch.manual_seed(seed)
    encoder = Encoder(MNIST, config)
    pixels, y = bars()
    batches = TensorBatches({0: pixels}, y, encoder.to_h0, config.batch_size, config.seed)
    return EncoderTask(encoder, config), batches


def test_e_learns_and_its_accuracy_is_counted() -> None:
    config = EncoderConfig(total_images=640, batch_size=16)
    task, batches = make(config)
    pixels, y = bars()
    untrained = accuracy(task.encoder, pixels, y, batch_size=33)
    logits = task.encoder(task.encoder.to_h0(pixels))
    assert untrained == int((logits.argmax(1) == y).sum()) / 80
    task.encoder.train()
    metrics = fit(task, batches, Hooks())
    assert metrics.keys() == {"encoder/loss", "encoder/train_accuracy"}
    assert accuracy(task.encoder, pixels, y) > 0.9 > 0.5 > untrained
    assert not task.encoder.training


def test_a_step_s_loss_is_cross_entropy_on_the_labels() -> None:
    task, batches = make(EncoderConfig(total_images=160, batch_size=16, precision="float32"))
    batch = batches(0)
    with torch.no_grad():
        expected = F.cross_entropy(task.encoder(batch.hidden[0]), batch.y)
    torch.testing.assert_close(task.step(0, batch)["encoder/loss"], expected)


@pytest.mark.parametrize("architecture", ["mnist", "pyramid"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(architecture: str) -> None:
    config = EncoderConfig(
        architecture=architecture,
        width=4,
        total_images=96,
        batch_size=16,
        horizontal_flip=True,
        shift_pixels=2,
    )
    whole, batches = make(config)
    losses = [whole.step(i, batches(i))["encoder/loss"] for i in range(6)]
    first, batches = make(config)
    for i in range(3):
        first.step(i, batches(i))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    resumed, batches = make(config, seed=5)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for i in range(3, 6):
        assert torch.equal(resumed.step(i, batches(i))["encoder/loss"], losses[i])
    for name, value in whole.encoder.state_dict().items():
        assert torch.equal(resumed.encoder.state_dict()[name], value), name


def test_a_non_finite_loss_stops_before_the_step() -> None:
    task, batches = make(EncoderConfig(total_images=160, batch_size=16))
    before = [p.detach().clone() for p in task.encoder.parameters()]
    batch = batches(0)
    broken = Batch({0: batch.hidden[0] * float("inf")}, batch.y)
    with pytest.raises(NonFiniteLoss, match="encoder/loss is nan"):
        task.step(0, broken)
    for old, new in zip(before, task.encoder.parameters(), strict=True):
        assert torch.equal(old, new)


def test_the_learning_rate_follows_one_cycle() -> None:
    task, batches = make(EncoderConfig(total_images=160, batch_size=16, learning_rate=1e-2))
    rates = []
    for i in range(10):
        task.step(i, batches(i % 5))
        rates.append(task.optimizer.param_groups[0]["lr"])
    assert rates[0] == pytest.approx(4e-4)
    assert max(rates) == pytest.approx(rates[3], rel=0.01) and rates[3] > 0.98e-2
    assert rates[9] < rates[5] < rates[3]
