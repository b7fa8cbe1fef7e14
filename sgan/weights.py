"""Weights of encoders, levels and whole stacks, to files and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sgan.config import to_dict
from sgan.encoder import load_encoder, save_encoder
from sgan.errors import WeightsError
from sgan.stack import Stack
from sgan.weights_file import fill, read_card, read_config, read_tensors, write

__all__ = [
    "WeightsError",
    "load_encoder",
    "load_levels",
    "load_levels_into",
    "load_stack",
    "read_card",
    "save_encoder",
    "save_levels",
    "save_stack",
]


def save_levels(path: Path, stack: Stack, about: Mapping[str, Any]) -> None:
    """G_i, D_i and Q_i of the stack's active levels, without the encoder."""
    card = {**about, "active": list(stack.active)}
    write(path, "levels", stack.levels.state_dict(), to_dict(stack.config), card)


def save_stack(path: Path, stack: Stack, about: Mapping[str, Any]) -> None:
    """The encoder and every level: all that sampling and evaluation need."""
    write(path, "stack", stack.state_dict(), to_dict(stack.config), about)


def load_stack(path: Path, device: str | torch.device = "cpu") -> Stack:
    """The whole stack from `save_stack`'s file, in eval mode. Raises WeightsError."""
    stack = Stack(read_config(path, "stack"))
    fill(stack, read_tensors(path), f"{path}: not the tensors of its model card")
    return stack.eval().to(device)


def load_levels(path: Path) -> dict[int, dict[str, Tensor]]:
    """The tensors of each level of `save_levels`' file, by level. Raises WeightsError."""
    active = read_card(path, "levels")["active"]
    tensors = read_tensors(path)
    return {
        i: {k.removeprefix(f"{i}."): v for k, v in tensors.items() if k.startswith(f"{i}.")}
        for i in active
    }


def load_levels_into(stack: Stack, path: Path) -> None:
    """Put the levels of `save_levels`' file into a stack that holds them.

    Raises WeightsError, also where the file's nets have other shapes than the stack's.
    """
    for index, tensors in load_levels(path).items():
        misfit = f"{path}: level {index} does not fit this stack"
        if index not in stack.active:
            raise WeightsError(f"{misfit}, which has levels {list(stack.active)}")
        fill(stack.level(index), tensors, misfit)
