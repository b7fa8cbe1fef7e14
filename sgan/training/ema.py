"""Exponential moving average of a generator's weights (Yazıcı et al. 2019; not in the paper)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class ExponentialAverage:
    """Averages a net's parameters; buffers (batch-norm statistics) are not averaged.

    Args:
        net: whose parameters are followed.
        half_life_images: images after which a weight's share has halved.
    """

    def __init__(self, net: nn.Module, half_life_images: int) -> None:
        self.net, self.half_life = net, half_life_images
        self.images = 0
        self.weights = {name: p.detach().clone() for name, p in net.named_parameters()}

    @torch.no_grad()
    def update(self, images: int) -> None:
        """After a step on `images` images. The half-life ramps up with images seen, as in EDM."""
        self.images += images
        half_life = min(self.half_life, 0.05 * self.images + images)
        decay = 0.5 ** (images / half_life)
        current: list[Tensor] = list(self.net.parameters())
        torch._foreach_lerp_(list(self.weights.values()), current, 1.0 - decay)

    @torch.no_grad()
    def copy_to_net(self) -> None:
        """Overwrite the net's parameters with their averages."""
        for name, parameter in self.net.named_parameters():
            parameter.copy_(self.weights[name])

    def state_dict(self) -> dict[str, Tensor]:
        """The averages and the images seen."""
        return {**self.weights, "images_seen": torch.tensor(self.images)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state_dict`."""
        self.images = int(state["images_seen"])
        for name, weight in self.weights.items():
            weight.copy_(state[name])
