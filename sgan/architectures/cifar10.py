"""The authors' CIFAR-10 nets (32×32×3): github.com/xunhuang1995/SGAN, cifar/train_joint.py.

SVHN's code was never released; with the same image shape and ten classes it takes these nets.
"""

from __future__ import annotations

from functools import partial

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
    relu_bn,
    scaled,
)
from sgan.config import ImageConfig


def point_shapes(image: ImageConfig, width: int) -> dict[str, tuple[int, ...]]:
    """Shape of h at each point where E can be cut."""
    return {"conv1": (64, 14, 14), "conv2": (128, 5, 5), "fc": (256,)}


def encoder_units(image: ImageConfig, width: int) -> list[tuple[str, nn.Sequential]]:
    """E: conv5 64, pool2, conv5 128, pool2, fc 256, fc K; valid convolutions, ReLU."""
    conv1 = nn.Sequential(nn.Conv2d(3, 64, 5), nn.ReLU(), nn.MaxPool2d(2))
    conv2 = nn.Sequential(nn.Conv2d(64, 128, 5), nn.ReLU(), nn.MaxPool2d(2))
    fc = nn.Sequential(nn.Flatten(), nn.Linear(128 * 5 * 5, 256), nn.ReLU())
    head = nn.Sequential(nn.Flatten(), nn.Linear(256, image.num_classes))
    return [("conv1", conv1), ("conv2", conv2), ("fc", fc), ("label", head)]


def feature_generator(
    target: int, cond: int, z_dim: int, width: float = 1.0
) -> ConditionedGenerator:
    """G_1: z -> 256 and y -> 512, concatenated -> 512 -> 512 -> target, ReLU."""
    units = scaled(width)(512)
    body = nn.Sequential(
        *dense(512 + 256, units), *dense(units, units), nn.Linear(units, target), nn.ReLU()
    )
    embed_z, embed_cond = nn.Sequential(*dense(z_dim, 256)), nn.Sequential(*dense(cond, 512))
    return init_normal(ConditionedGenerator(embed_z, embed_cond, body))


def image_generator(cond: int, z_dim: int, width: float = 1.0) -> ConditionedGenerator:
    """G_0: z -> 128 -> 128, with h_1 -> fc 256·5·5, then 10, 14, 28, 32 pixels a side, sigmoid."""
    wide, thin = scaled(width)(256), scaled(width)(128)
    body = nn.Sequential(
        *dense(cond + 128, wide * 5 * 5),
        nn.Unflatten(1, (wide, 5, 5)),
        *deconv(wide, wide, stride=2),
        *deconv(wide, thin, stride=1),
        *deconv(thin, thin, stride=2),
        nn.ConvTranspose2d(thin, 3, 5),
        nn.Sigmoid(),
    )
    embed_z = nn.Sequential(*dense(z_dim, 128), *dense(128, 128))
    return init_normal(ConditionedGenerator(embed_z, nn.Identity(), body))


def feature_discriminator(features: int, heads: HeadConfig) -> Discriminator:
    """D_1, Q_1: noise, 512, hidden noise, 512 BN, hidden noise; leaky ReLU; dense heads."""
    units = scaled(heads.width)(512)
    trunk = nn.Sequential(
        InstanceNoise(heads.noise),
        nn.Linear(features, units),
        nn.LeakyReLU(0.2),
        InstanceNoise(heads.hidden_noise),
        nn.Linear(units, units, bias=not heads.batch_norm),
        *relu_bn(units, leak=0.2, normed=heads.batch_norm),
        InstanceNoise(heads.hidden_noise),
    )
    return dense_heads(trunk, units, heads)


def _conv(normed: bool, inputs: int, outputs: int, stride: int, pad: int = 1) -> list[nn.Module]:
    layer = nn.Conv2d(inputs, outputs, 3, stride, pad, bias=not normed)
    return [layer, *relu_bn(outputs, spatial=True, leak=0.2, normed=normed)]


def image_discriminator(heads: HeadConfig) -> Discriminator:
    """D_0: nine layers down to a 6×6×192 map; D pools it, Q reads the whole map."""
    thin, wide = map(scaled(heads.width), (96, 192))
    conv = partial(_conv, heads.batch_norm)
    trunk = nn.Sequential(
        InstanceNoise(heads.noise),
        nn.Conv2d(3, thin, 3, 1, 1),
        nn.LeakyReLU(0.2),
        *conv(thin, thin, stride=2),
        nn.Dropout(heads.dropout),
        *conv(thin, wide, stride=1),
        *conv(wide, wide, stride=2),
        nn.Dropout(heads.dropout),
        *conv(wide, wide, stride=1, pad=0),
        nn.Conv2d(wide, wide, 1),
        nn.LeakyReLU(0.2),
    )
    pooled = nn.AdaptiveAvgPool2d(1)
    adversarial = nn.Sequential(pooled, nn.Flatten(), nn.Linear(wide, heads.logits))
    recovery = nn.Sequential(nn.Flatten(), nn.Linear(wide * 6 * 6, heads.z_dim))
    net = Discriminator(trunk, adversarial, recovery, heads.q_sigmoid)
    init_normal(net)
    return net
