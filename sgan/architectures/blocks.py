"""What every architecture is made of: the authors' layers, weight initialisation, D's two heads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

Net = TypeVar("Net", bound=nn.Module)


def scaled(width: float) -> Callable[[int], int]:
    """Channels or units of an architecture's table -> as many times `width`, at least 1."""
    return lambda count: max(1, round(count * width))


def relu_bn(
    features: int, spatial: bool = False, leak: float = 0.0, normed: bool = True
) -> list[nn.Module]:
    """Batch norm, where `normed`, before a (leaky) ReLU; decay 0.9, eps 1e-6 (authors' nn.py)."""
    activation = nn.LeakyReLU(leak) if leak else nn.ReLU()
    if not normed:
        return [activation]
    norm = nn.BatchNorm2d if spatial else nn.BatchNorm1d
    return [norm(features, eps=1e-6, momentum=0.1), activation]


def dense(inputs: int, outputs: int) -> list[nn.Module]:
    """Fully connected without bias, then batch norm and ReLU."""
    return [nn.Linear(inputs, outputs, bias=False), *relu_bn(outputs)]


def deconv(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    """5×5 transposed convolution, batch norm, ReLU: stride 2 doubles the side, stride 1 adds 4."""
    pad = (2, 1) if stride == 2 else (0, 0)
    layer = nn.ConvTranspose2d(inputs, outputs, 5, stride, pad[0], pad[1], bias=False)
    return [layer, *relu_bn(outputs, spatial=True)]


def init_normal(module: Net, std: float = 0.02) -> Net:
    """Weights N(0, std), biases 0, batch norm at identity (authors' code); returns the module."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return module


def init_he(module: Net) -> Net:
    """Weights N(0, 2 / (1.04 fan_in)), which keeps a signal's size through leaky ReLUs (He et al.
    2015, arXiv 1502.01852); biases 0; returns the module."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, 0.2, nonlinearity="leaky_relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return module


class InstanceNoise(nn.Module):
    """Adds N(0, sigma) in training mode; the identity in eval mode."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, h: Tensor) -> Tensor:
        """h: float, any shape."""
        return h + self.sigma * torch.randn_like(h) if self.training and self.sigma else h

    def extra_repr(self) -> str:
        """Shown in the net's printout."""
        return f"sigma={self.sigma}"


@dataclass(frozen=True)
class HeadConfig:
    """What a level's settings ask of D_i: heads, noise σ at the input and inside, dropout
    probability, the trunk's width as a share of the table's, and whether it has its batch norm."""

    logits: int
    z_dim: int
    q_sigmoid: bool
    noise: float
    dropout: float
    hidden_noise: float = 0.0
    width: float = 1.0
    batch_norm: bool = True


class Discriminator(nn.Module):
    """D_i and Q_i on one trunk (paper, section 3.2: they share all layers but the last).

    Args:
        trunk: [B, *h_i] -> shared features.
        adversarial: shared features -> logits [B, 1 or K].
        recovery: shared features -> z_i's recovery [B, z_dim], before Q's output function.
        q_sigmoid: Q ends in a sigmoid, since z ~ U(0,1) (authors' MNIST), or is linear (CIFAR-10).
    """

    def __init__(
        self, trunk: nn.Module, adversarial: nn.Module, recovery: nn.Module, q_sigmoid: bool
    ) -> None:
        super().__init__()
        self.trunk, self.adversarial, self.recovery = trunk, adversarial, recovery
        self.q_sigmoid = q_sigmoid

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """h: float [B, *h_i]; returns (logits [B, 1 or K], recovered z [B, z_dim])."""
        shared = self.trunk(h)
        z = self.recovery(shared)
        return self.adversarial(shared), torch.sigmoid(z) if self.q_sigmoid else z


def dense_heads(trunk: nn.Module, features: int, heads: HeadConfig) -> Discriminator:
    """A Discriminator whose heads are one dense layer each on `features` shared units."""
    adversarial = nn.Linear(features, heads.logits)
    recovery = nn.Linear(features, heads.z_dim)
    net = Discriminator(trunk, adversarial, recovery, heads.q_sigmoid)
    init_normal(net)
    return net


class ConditionedGenerator(nn.Module):
    """G_i that embeds z_i (and, if given, the condition), concatenates, and decodes.

    Args:
        embed_z: [B, z_dim] -> [B, e]; nn.Identity to take z as it is.
        embed_cond: vector condition -> [B, c]; nn.Identity to take it as it is.
        body: [B, c + e] -> ĥ_i.

    Attributes:
        z_gain: factor on z_i's embedding; 1 as built.
    """

    def __init__(self, embed_z: nn.Module, embed_cond: nn.Module, body: nn.Module) -> None:
        super().__init__()
        self.embed_z, self.embed_cond, self.body = embed_z, embed_cond, body
        self.z_gain = 1.0

    def forward(self, cond: Tensor, z: Tensor) -> Tensor:
        """cond: float [B, D]; z: float [B, z_dim] in [0, 1); returns ĥ_i float [B, *h_i]."""
        noise = self.z_gain * self.embed_z(z)
        return self.body(torch.cat([self.embed_cond(cond), noise], dim=1))
