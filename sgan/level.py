"""Level i of the stack: G_i, and D_i with Q_i on the same trunk."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from sgan import architectures
from sgan.config import LevelConfig, StackConfig


class Level(nn.Module):
    """G_i and D_i (with Q_i). The frozen E_i stands in the stack's encoder.

    Args:
        stack: shapes and architecture.
        index: i; 0 is the image.
        config: this level's settings (joint training may hand other dropout or noise; the
            state dict's names do not change).
    """

    def __init__(self, stack: StackConfig, index: int, config: LevelConfig) -> None:
        super().__init__()
        self.index, self.config = index, config
        self.is_top = index == stack.encoder.num_levels - 1
        self.num_classes = stack.image.num_classes
        self.generator = architectures.generator(stack, index, config)
        self.discriminator = architectures.discriminator(stack, index, config)
        if config.spectral_norm:
            _spectral_norm(self.discriminator)
        self.offset: Tensor
        shape = stack.image.shape if index == 0 else ()
        self.register_buffer("offset", torch.zeros(shape))

    def generate(self, cond: Tensor, z: Tensor) -> Tensor:
        """ĥ_i = G_i(h_{i+1}, z_i), float [B, *h_i].

        At level 0 the mean image is subtracted, so that ĥ_0 lives where h_0 does.

        Args:
            cond: h_{i+1} float [B, *h_{i+1}]; at the top level labels int64 [B].
            z: float [B, z_dim] in [0, 1).
        """
        if self.is_top and not cond.is_floating_point():
            cond = nn.functional.one_hot(cond, self.num_classes).to(z.dtype)
        return self.generator(cond, z) - self.offset

    def draw_z(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """z_i ~ U(0,1), float [count, z_dim] on the level's device."""
        shape = (count, self.config.z_dim)
        return torch.rand(shape, generator=generator, device=self.offset.device)


def _spectral_norm(net: nn.Module) -> None:
    for module in list(net.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            parametrizations.spectral_norm(module)
