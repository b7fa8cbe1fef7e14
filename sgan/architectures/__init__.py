"""The nets of every level, by architecture: encoder blocks E_i, generators G_i, discriminators D_i.

A family is a module in here, named in `sgan.config.ARCHITECTURES`. The fixed ones (mnist, cifar10)
follow the authors' tables where the table has a net for that level; levels between other points of
the encoder take pyramid's nets.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from torch import nn

from sgan.architectures import pyramid
from sgan.architectures.blocks import Discriminator, HeadConfig, init_he
from sgan.config import ARCHITECTURES, EncoderConfig, ImageConfig, LevelConfig, StackConfig

Shape = tuple[int, ...]


def family(architecture: str) -> Any:
    """The module that builds the nets of an architecture."""
    return import_module(f"sgan.architectures.{ARCHITECTURES[architecture].module}")


def _table(encoder: EncoderConfig) -> Any:
    """The family, where it has nets of its own for levels between an image and a vector."""
    found = family(encoder.architecture)
    return None if found is pyramid else found


def feature_shapes(image: ImageConfig, encoder: EncoderConfig) -> tuple[Shape, ...]:
    """Shapes of h_0 … h_N without the batch: maps (C, H, W), vectors (D,), labels (K,)."""
    points = family(encoder.architecture).point_shapes(image, encoder.width)
    return (image.shape, *(points[name] for name in encoder.cut), (image.num_classes,))


def encoder_blocks(image: ImageConfig, encoder: EncoderConfig) -> list[nn.Sequential]:
    """E_0 … E_{N-1}; E_{N-1} ends in K logits."""
    units = family(encoder.architecture).encoder_units(image, encoder.width)
    blocks, current = [], []
    for name, unit in units:
        current.append(unit)
        if name in encoder.cut:
            blocks.append(nn.Sequential(*current))
            current = []
    return [*blocks, nn.Sequential(*current)]


def generator(config: StackConfig, level: int, settings: LevelConfig) -> nn.Module:
    """G_i: forward(cond [B, *h_{i+1}] or one-hot [B, K], z [B, z_dim]) -> ĥ_i [B, *h_i]."""
    shapes = feature_shapes(config.image, config.encoder)
    target, cond = shapes[level], shapes[level + 1]
    table = _table(config.encoder)
    if table and len(cond) == 1 and level == 0:
        net = table.image_generator(cond[0], settings.z_dim, settings.width)
    elif table and len(target) == 1 and len(cond) == 1:
        net = table.feature_generator(target[0], cond[0], settings.z_dim, settings.width)
    else:
        net = pyramid.generator(target, cond, settings.z_dim, level == 0, settings.width)
    net.z_gain = settings.z_gain
    return net


def discriminator(config: StackConfig, level: int, settings: LevelConfig) -> Discriminator:
    """D_i, Q_i on one trunk: forward(h_i [B, *h_i]) -> (logits [B, 1 or K], z [B, z_dim])."""
    shapes = feature_shapes(config.image, config.encoder)
    heads = HeadConfig(
        logits=1 if settings.d_objective == "binary" else config.image.num_classes,
        z_dim=settings.z_dim,
        q_sigmoid=settings.q_output == "sigmoid",
        noise=settings.instance_noise,
        hidden_noise=settings.hidden_noise,
        dropout=settings.dropout,
        width=settings.width,
        batch_norm=settings.d_norm == "batch",
    )
    table = _table(config.encoder)
    if table and level == 0:
        net = table.image_discriminator(heads)
    elif table and len(shapes[level]) == 1:
        net = table.feature_discriminator(shapes[level][0], heads)
    else:
        net = pyramid.discriminator(shapes[level], heads)
    return init_he(net) if settings.d_init == "he" else net
