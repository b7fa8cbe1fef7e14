"""Stacks of random weights for tests of what draws from one."""

from pathlib import Path

import torch

from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack
from sgan.weights import save_stack

_CUTS = {1: (), 2: ("fc",), 3: ("conv1", "fc")}


def write_stack(
    path: Path, seed: int = 3, z_dims: tuple[int, ...] = (4, 6), width: float = 0.25
) -> Path:
    """A stack for 28x28x1 whose images differ by class and noise; no digits. Returns `path`."""
    torch.manual_seed(seed)
    levels = tuple(LevelConfig(z_dim=dim, width=width) for dim in z_dims)
    config = StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(cut=_CUTS[len(z_dims)]), levels)
    stack = Stack(config)
    for parameter in stack.parameters():
        if parameter.dim() > 1:  # the usual start is so small that every image is grey
            torch.nn.init.kaiming_normal_(parameter)
    save_stack(path, stack, {})
    return path
