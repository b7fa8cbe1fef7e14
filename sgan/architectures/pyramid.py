"""Nets for any square image from 28 to 128 pixels, any classes, any cut of the encoder (ours).

Sides halve (rounding up) from the image to each convolution's output: 28, 14, 7, 4.
G_i climbs back by nearest-neighbour resizing to exactly those sides, so every side is reached.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sgan.architectures.blocks import (
    ConditionedGenerator,
    Discriminator,
    HeadConfig,
    InstanceNoise,
    dense,
    dense_heads,
    init_normal,
    relu_bn,
    scaled,
)
from sgan.config import ImageConfig

FC_FEATURES = 256
Z_EMBEDDING = 128


def _sides(side: int, count: int) -> list[int]:
    """`side` and its next `count` halvings, rounded up."""
    sides = [side]
    for _ in range(count):
        sides.append((sides[-1] + 1) // 2)
    return sides


def point_shapes(image: ImageConfig, width: int) -> dict[str, tuple[int, ...]]:
    """Shape of h at each point where E can be cut."""
    _, s1, s2, s3 = _sides(image.height, 3)
    maps = {"conv1": (width, s1, s1), "conv2": (2 * width, s2, s2), "conv3": (4 * width, s3, s3)}
    return {**maps, "fc": (FC_FEATURES,)}


def encoder_units(image: ImageConfig, width: int) -> list[tuple[str, nn.Sequential]]:
    """E: three times conv3, BN, ReLU, pool2 (width, 2·width, 4·width), fc 256 ReLU, fc K."""
    units, inputs = [], image.channels
    shapes = point_shapes(image, width)
    for name in ("conv1", "conv2", "conv3"):
        outputs = shapes[name][0]
        conv = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        pool = nn.MaxPool2d(2, ceil_mode=True)
        units.append((name, nn.Sequential(conv, *relu_bn(outputs, spatial=True), pool)))
        inputs = outputs
    channels, side, _ = shapes["conv3"]
    flat = nn.Linear(channels * side * side, FC_FEATURES)
    units.append(("fc", nn.Sequential(nn.Flatten(), flat, nn.ReLU())))
    head = nn.Linear(FC_FEATURES, image.num_classes)
    units.append(("label", nn.Sequential(nn.Flatten(), head)))
    return units


def _up(inputs: int, outputs: int, side: int) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
    return [nn.Upsample(size=(side, side)), conv, *relu_bn(outputs, spatial=True)]


def _climb(
    channels: int, side: int, target: tuple[int, ...], width: float
) -> tuple[list[nn.Module], int]:
    """Layers from a map of `side` to the target's side; returns them and the last channel count."""
    least = scaled(width)(32)
    sides = [s for s in _sides(target[1], 6) if s > side][::-1]
    layers: list[nn.Module] = []
    for next_side in sides:
        outputs = max(channels // 2, least)
        layers += _up(channels, outputs, next_side)
        channels = outputs
    return layers, channels


class MapGenerator(nn.Module):
    """G_i from a feature map: z_i joins as extra channels at the map's own side.

    Args:
        cond: (C, S, S) of h_{i+1}.
        z_dim: length of z_i.
        body: [B, C + 16, S, S] -> ĥ_i.

    Attributes:
        z_gain: factor on z_i's embedding; 1 as built.
    """

    Z_CHANNELS = 16

    def __init__(self, cond: tuple[int, ...], z_dim: int, body: nn.Module) -> None:
        super().__init__()
        side = cond[1]
        self.embed_z = nn.Sequential(
            *dense(z_dim, Z_EMBEDDING),
            nn.Linear(Z_EMBEDDING, self.Z_CHANNELS * side * side),
            nn.Unflatten(1, (self.Z_CHANNELS, side, side)),
        )
        self.body = body
        self.z_gain = 1.0

    def forward(self, cond: Tensor, z: Tensor) -> Tensor:
        """cond: float [B, C, S, S]; z: float [B, z_dim] in [0, 1); returns ĥ_i [B, *h_i]."""
        return self.body(torch.cat([cond, self.z_gain * self.embed_z(z)], dim=1))


def generator(
    target: tuple[int, ...],
    cond: tuple[int, ...],
    z_dim: int,
    is_image: bool,
    width: float = 1.0,
) -> ConditionedGenerator | MapGenerator:
    """G_i for any pair of shapes: a vector from a vector; a map, or an image, from either."""
    activation, n = nn.Sigmoid() if is_image else nn.ReLU(), scaled(width)
    if len(target) == 1:
        units = n(512)
        hidden = [*dense(cond[0] + z_dim, units), *dense(units, units)]
        body = nn.Sequential(*hidden, nn.Linear(units, target[0]), activation)
        return init_normal(ConditionedGenerator(nn.Identity(), nn.Identity(), body))
    if len(cond) == 1:
        side = _sides(target[1], 6)[_halvings_to_floor(target[1])]
        steps = len([s for s in _sides(target[1], 6) if s > side])
        channels = n(min(512, max(target[0], 32) * 2 ** max(steps, 2)))
        start = [*dense(cond[0] + Z_EMBEDDING, channels * side * side)]
        layers, last = _climb(channels, side, target, width)
        final = nn.Conv2d(last, target[0], 3, 1, 1)
        body = nn.Sequential(*start, nn.Unflatten(1, (channels, side, side)), *layers, final)
        body.append(activation)
        embed_z = nn.Sequential(*dense(z_dim, Z_EMBEDDING))
        return init_normal(ConditionedGenerator(embed_z, nn.Identity(), body))
    channels = n(max(2 * target[0], 2 * cond[0], 64, 1024 // cond[1]))
    first = nn.Conv2d(cond[0] + MapGenerator.Z_CHANNELS, channels, 3, 1, 1, bias=False)
    layers, last = _climb(channels, cond[1], target, width)
    final = nn.Conv2d(last, target[0], 3, 1, 1)
    body = nn.Sequential(first, *relu_bn(channels, spatial=True), *layers, final, activation)
    return init_normal(MapGenerator(cond, z_dim, body))


def _halvings_to_floor(side: int) -> int:
    """Halvings until a side of at most 5 is reached (3 to 5 for all allowed images)."""
    return next(n for n, s in enumerate(_sides(side, 6)) if s <= 5)


def discriminator(shape: tuple[int, ...], heads: HeadConfig) -> Discriminator:
    """D_i, Q_i: dense 256, 256 for vectors; conv5 stride 2 down to at most 5×5 for maps, fc 256."""
    layers: list[nn.Module] = [InstanceNoise(heads.noise)]
    n = scaled(heads.width)
    units = n(256)
    if len(shape) == 1:
        layers += [nn.Linear(shape[0], units), nn.LeakyReLU(0.2)]
        layers += [nn.Linear(units, units), nn.LeakyReLU(0.2)]
        return dense_heads(nn.Sequential(*layers), units, heads)
    inputs, side = shape[0], shape[1]
    outputs, most = n(max(32, min(shape[0], 128))), n(512)
    if side <= 5:
        layers += [nn.Conv2d(inputs, 2 * outputs, 3, 1, 1), nn.LeakyReLU(0.2)]
        inputs = 2 * outputs
    while side > 5:
        layers += [nn.Conv2d(inputs, outputs, 5, 2, 2), nn.LeakyReLU(0.2)]
        layers += [nn.Dropout(heads.dropout)]
        inputs, outputs, side = outputs, min(2 * outputs, most), (side + 1) // 2
    layers += [nn.Flatten(), nn.Linear(inputs * side * side, units), nn.LeakyReLU(0.2)]
    return dense_heads(nn.Sequential(*layers), units, heads)
