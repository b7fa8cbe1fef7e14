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
)
from sgan.config import ImageConfig


def point_shapes(image: ImageConfig, width: int) -> dict[str, tuple[int, ...]]:
    """Shape of h at each point where E can be cut."""
    return {"conv1": (32, 12, 12), "conv2": (32, 4, 4), "fc": (256,)}


def encoder_units(image: ImageConfig, width: int) -> list[tuple[str, nn.Sequential]]:
    """E: conv5 32, pool2, conv5 32, pool2, fc 256, fc K; valid convolutions, ReLU."""
    conv1 = nn.Sequential(nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2))
    conv2 = nn.Sequential(nn.Conv2d(32, 32, 5), nn.ReLU(), nn.MaxPool2d(2))
    fc = nn.Sequential(nn.Flatten(), nn.Linear(32 * 4 * 4, 256), nn.ReLU())
    head = nn.Sequential(nn.Flatten(), nn.Linear(256, image.num_classes))
    return [("conv1", conv1), ("conv2", conv2), ("fc", fc), ("label", head)]


def feature_generator(target: int, cond: int, z_dim: int) -> ConditionedGenerator:
    """G_1: [y, z] -> 512 -> 512 -> target, ReLU."""
    body = nn.Sequential(
        *dense(cond + z_dim, 512), *dense(512, 512), nn.Linear(512, target), nn.ReLU()
    )
    return init_normal(ConditionedGenerator(nn.Identity(), nn.Identity(), body))


def image_generator(cond: int, z_dim: int) -> ConditionedGenerator:
    """G_0: z -> 128, with h_1 -> fc 128·4·4, then 8, 12, 24, 28 pixels a side, sigmoid."""
    body = nn.Sequential(
        *dense(cond + 128, 128 * 4 * 4),
        nn.Unflatten(1, (128, 4, 4)),
        *deconv(128, 128, stride=2),
        *deconv(128, 64, stride=1),
        *deconv(64, 64, stride=2),
        nn.ConvTranspose2d(64, 1, 5),
        nn.Sigmoid(),
    )
    embed_z = nn.Sequential(*dense(z_dim, 128))
    return init_normal(ConditionedGenerator(embed_z, nn.Identity(), body))


def feature_discriminator(features: int, heads: HeadConfig) -> Discriminator:
    """D_1, Q_1: 256 -> 256 leaky ReLU, one dense layer per head."""
    trunk = nn.Sequential(
        InstanceNoise(heads.noise),
        nn.Linear(features, 256),
        nn.LeakyReLU(0.2),
        nn.Linear(256, 256),
        nn.LeakyReLU(0.2),
    )
    return dense_heads(trunk, 256, heads)


def image_discriminator(heads: HeadConfig) -> Discriminator:
    """D_0, Q_0: conv5 stride 2 of 32, 64, 128, fc 256, one dense layer per head."""
    layers: list[nn.Module] = [InstanceNoise(heads.noise)]
    for inputs, outputs in ((1, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(inputs, outputs, 5, 2, 2), nn.LeakyReLU(0.2)]
        layers += [nn.Dropout(heads.dropout)]
    layers += [nn.Flatten(), nn.Linear(128 * 4 * 4, 256), nn.LeakyReLU(0.2)]
    return dense_heads(nn.Sequential(*layers), 256, heads)
