"""The authors' MNIST nets (28×28×1): github.com/xunhuang1995/SGAN, mnist/train_independent.py."""

from __future__ import annotations

from torch import nn

from sgan.architectures.blocks import (
    ConditionedGenerator,
    Discriminator,
    HeadConfig,
    InstanceNoise,
    deconv,
    dense,
    dense_heads,
    init_normal,
    scaled,
)
from sgan.architectures.grey import FromGrey, ToGrey
from sgan.config import ImageConfig


def point_shapes(image: ImageConfig, width: int) -> dict[str, tuple[int, ...]]:
    """Shape of h at each point where E can be cut."""
    return {"conv1": (32, 12, 12), "conv2": (32, 4, 4), "fc": (256,)}


def encoder_units(image: ImageConfig, width: int) -> list[tuple[str, nn.Sequential]]:
    """E: conv5 32, pool2, conv5 32, pool2, fc 256, fc K; valid convolutions, ReLU."""
    conv1 = nn.Sequential(FromGrey(32, 5), nn.ReLU(), nn.MaxPool2d(2))
    conv2 = nn.Sequential(nn.Conv2d(32, 32, 5), nn.ReLU(), nn.MaxPool2d(2))
    fc = nn.Sequential(nn.Flatten(), nn.Linear(32 * 4 * 4, 256), nn.ReLU())
    head = nn.Sequential(nn.Flatten(), nn.Linear(256, image.num_classes))
    return [("conv1", conv1), ("conv2", conv2), ("fc", fc), ("label", head)]


def feature_generator(
    target: int, cond: int, z_dim: int, width: float = 1.0
) -> ConditionedGenerator:
    """G_1: [y, z] -> 512 -> 512 -> target, ReLU."""
    units = scaled(width)(512)
    body = nn.Sequential(
        *dense(cond + z_dim, units), *dense(units, units), nn.Linear(units, target), nn.ReLU()
    )
    return init_normal(ConditionedGenerator(nn.Identity(), nn.Identity(), body))


def image_generator(cond: int, z_dim: int, width: float = 1.0) -> ConditionedGenerator:
    """G_0: z -> 128, with h_1 -> fc 128·4·4, then 8, 12, 24, 28 pixels a side, sigmoid."""
    wide, thin = scaled(width)(128), scaled(width)(64)
    body = nn.Sequential(
        *dense(cond + 128, wide * 4 * 4),
        nn.Unflatten(1, (wide, 4, 4)),
        *deconv(wide, wide, stride=2),
        *deconv(wide, thin, stride=1),
        *deconv(thin, thin, stride=2),
        ToGrey(thin, 5),
        nn.Sigmoid(),
    )
    embed_z = nn.Sequential(*dense(z_dim, 128))
    return init_normal(ConditionedGenerator(embed_z, nn.Identity(), body))


def feature_discriminator(features: int, heads: HeadConfig) -> Discriminator:
    """D_1, Q_1: 256 -> 256 leaky ReLU, one dense layer per head."""
    units = scaled(heads.width)(256)
    trunk = nn.Sequential(
        InstanceNoise(heads.noise),
        nn.Linear(features, units),
        nn.LeakyReLU(0.2),
        nn.Linear(units, units),
        nn.LeakyReLU(0.2),
    )
    return dense_heads(trunk, units, heads)


def image_discriminator(heads: HeadConfig) -> Discriminator:
    """D_0, Q_0: conv5 stride 2 of 32, 64, 128, fc 256, one dense layer per head."""
    layers: list[nn.Module] = [InstanceNoise(heads.noise)]
    first, second, third, units = map(scaled(heads.width), (32, 64, 128, 256))
    for layer in (
        FromGrey(first, 5, 2, 2),
        nn.Conv2d(first, second, 5, 2, 2),
        nn.Conv2d(second, third, 5, 2, 2),
    ):
        layers += [layer, nn.LeakyReLU(0.2), nn.Dropout(heads.dropout)]
    layers += [nn.Flatten(), nn.Linear(third * 4 * 4, units), nn.LeakyReLU(0.2)]
    return dense_heads(nn.Sequential(*layers), units, heads)
