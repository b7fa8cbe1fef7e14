"""Stacks of random weights for tests of what draws from one."""

from dataclasses import replace
from pathlib import Path

import torch

from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack
from sgan.weights import save_stack

_CUTS = {1: (), 2: ("fc",), 3: ("conv1", "fc")}


def random_stack(classes: int = 10, width: float = 1.0) -> Stack:
    """Two levels for 28x28x1, of which level 1 is averaged; no digits."""
    torch.manual_seed(3)
    level = LevelConfig(z_dim=4, width=width)
    levels = (level, replace(level, ema_half_life_images=500))
    image, encoder = ImageConfig(1, 28, 28, classes), EncoderConfig(cut=("fc",))
    return _drawn(Stack(StackConfig(image, encoder, levels))).eval()


def write_stack(
    path: Path, seed: int = 3, z_dims: tuple[int, ...] = (4, 6), width: float = 0.25
) -> Path:
    """A stack for 28x28x1 whose images differ by class and noise; no digits. Returns `path`."""
    torch.manual_seed(seed)
    levels = tuple(LevelConfig(z_dim=dim, width=width) for dim in z_dims)
    config = StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(cut=_CUTS[len(z_dims)]), levels)
    save_stack(path, _drawn(Stack(config)), {})
    return path


def _drawn(stack: Stack) -> Stack:
    """The usual start is so small that every image is grey."""
    for parameter in stack.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter)
    return stack
