"""E: pixels to h_0 and back, the blocks in order, and what freezing means."""

import pytest
import torch

from sgan.config import ConfigError, EncoderConfig, ImageConfig
from sgan.encoder import Encoder

MNIST = ImageConfig(1, 28, 28, 10)


def test_pixels_become_hundredths_minus_the_mean_image_and_come_back() -> None:
    encoder = Encoder(ImageConfig(3, 32, 32, 10), EncoderConfig(architecture="cifar10"))
    encoder.mean_image.copy_(torch.rand(3, 32, 32))
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    h0 = encoder.to_h0(pixels)
    assert h0.dtype == torch.float32
    torch.testing.assert_close(h0[1], pixels[1] / 255 - encoder.mean_image)
    assert torch.equal(encoder.to_pixels(h0), pixels)


def test_to_pixels_rounds_and_clips() -> None:
    encoder = Encoder(MNIST, EncoderConfig())
    h0 = torch.tensor([-0.2, 0.49 / 255, 0.51 / 255, 0.999, 1.7])
    image = torch.zeros(1, 1, 28, 28)
    image[0, 0, 0, :5] = h0
    assert encoder.to_pixels(image)[0, 0, 0, :5].tolist() == [0, 0, 1, 255, 255]


def test_every_pixel_value_survives_the_round_trip() -> None:
    encoder = Encoder(MNIST, EncoderConfig())
    values = torch.arange(256, dtype=torch.uint8).repeat(4)[: 28 * 28].view(1, 1, 28, 28)
    assert torch.equal(encoder.to_pixels(encoder.to_h0(values)), values)


@pytest.mark.parametrize("cut", [(), ("fc",), ("conv1", "conv2", "fc")])
@torch.no_grad()
def test_encode_lists_every_h_and_ends_in_the_logits(cut: tuple[str, ...]) -> None:
    encoder = Encoder(MNIST, EncoderConfig(cut=cut)).eval()
    x = torch.rand(3, 1, 28, 28)
    hidden = encoder.encode(x)
    assert len(hidden) == encoder.num_levels + 1 == len(cut) + 2
    assert hidden[0] is x
    for i, block in enumerate(encoder.blocks):
        assert torch.equal(block(hidden[i]), hidden[i + 1])
    assert torch.equal(encoder(x), hidden[-1])
    assert hidden[-1].shape == (3, 10) and hidden[-1].min() < 0


@torch.no_grad()
def test_where_e_is_cut_does_not_change_what_it_computes() -> None:
    logits = []
    for cut in ((), ("fc",), ("conv2", "fc")):
        torch.manual_seed(3)
        logits.append(Encoder(MNIST, EncoderConfig(cut=cut))(torch.full((1, 1, 28, 28), 0.3)))
    assert torch.equal(logits[0], logits[1]) and torch.equal(logits[1], logits[2])


def test_a_frozen_encoder_passes_gradients_through_and_keeps_none() -> None:
    encoder = Encoder(MNIST, EncoderConfig()).train()
    assert encoder.freeze() is encoder
    assert not encoder.training
    x = torch.rand(2, 1, 28, 28, requires_grad=True)
    encoder(x).sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0
    assert all(p.grad is None for p in encoder.parameters())


def test_the_mean_image_travels_with_the_weights() -> None:
    first, second = Encoder(MNIST, EncoderConfig()), Encoder(MNIST, EncoderConfig())
    first.mean_image.fill_(0.5)
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.mean_image, torch.full((1, 28, 28), 0.5))


def test_an_encoder_refuses_images_it_was_not_made_for() -> None:
    with pytest.raises(ConfigError, match="'pyramid' for images of shape"):
        Encoder(ImageConfig(3, 32, 32, 10), EncoderConfig(architecture="mnist"))
