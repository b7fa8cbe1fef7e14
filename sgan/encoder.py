"""E: a classifier cut into E_0 … E_{N-1}. It carries the mean image that makes h_0 of pixels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sgan import architectures
from sgan.config import (
    EncoderConfig,
    ImageConfig,
    StackConfig,
    to_dict,
)
from sgan.weights_file import fill, read_config, read_tensors, write


class Encoder(nn.Module):
    """E_0 … E_{N-1} as `blocks`; pretrained as a classifier, then frozen.

    Attributes:
        blocks: E_i, each [B, *h_i] -> [B, *h_{i+1}]; the last puts out logits [B, K].
        mean_image: float [C, H, W] in [0, 1]; subtracted from pixels to give h_0 (zeros unless
            `image.centre` is 'pixel_mean').
    """

    def __init__(self, image: ImageConfig, config: EncoderConfig) -> None:
        super().__init__()
        config.check_image(image)
        self.image, self.config = image, config
        self.blocks = nn.ModuleList(architectures.encoder_blocks(image, config))
        self.mean_image: Tensor
        self.register_buffer("mean_image", torch.zeros(image.shape))

    @property
    def num_levels(self) -> int:
        """N."""
        return len(self.blocks)

    def to_h0(self, pixels: Tensor) -> Tensor:
        """uint8 [B, C, H, W] -> h_0 float [B, C, H, W]: pixels / 255 minus the mean image."""
        return pixels.to(self.mean_image.dtype) / 255 - self.mean_image

    def to_pixels(self, h0: Tensor) -> Tensor:
        """The inverse of `to_h0`: float [B, C, H, W] -> uint8 [B, C, H, W], clipped."""
        return ((h0 + self.mean_image) * 255).round().clamp(0, 255).to(torch.uint8)

    def encode(self, h0: Tensor) -> list[Tensor]:
        """[h_0, h_1, …, h_N]; h_N is K logits. h0: float [B, C, H, W]."""
        hidden = [h0]
        for block in self.blocks:
            hidden.append(block(hidden[-1]))
        return hidden

    def forward(self, h0: Tensor) -> Tensor:
        """Class logits, float [B, K]. h0: float [B, C, H, W]."""
        return self.encode(h0)[-1]

    def freeze(self) -> Encoder:
        """Eval mode and no parameter gradients; gradients still pass through to the input."""
        return self.eval().requires_grad_(False)


def save_encoder(path: Path, encoder: Encoder, about: Mapping[str, Any]) -> None:
    """E's weights and mean image. `about`: JSON-able facts for the card (metrics, digests)."""
    config = to_dict(StackConfig(encoder.image, encoder.config))
    write(path, "encoder", encoder.state_dict(), config, about)


def load_encoder(path: Path, device: str | torch.device = "cpu") -> Encoder:
    """E from `save_encoder`'s file, in eval mode. Raises WeightsError."""
    config = read_config(path, "encoder")
    encoder = Encoder(config.image, config.encoder)
    fill(encoder, read_tensors(path), f"{path}: not the tensors of its model card")
    return encoder.freeze().to(device)
