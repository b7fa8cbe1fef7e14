"""Differentiable augmentation of D_0's images (Zhao et al. 2020; not in the paper)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def translate(images: Tensor, pixels: int) -> Tensor:
    """Each image moved by its own random shift of up to `pixels`, zeros moving in.

    Args:
        images: float [B, C, H, W].
        pixels: largest shift in either direction; 0 returns the images.
    """
    if not pixels:
        return images
    batch, _, height, width = images.shape
    padded = F.pad(images, [pixels] * 4)
    shift = torch.randint(0, 2 * pixels + 1, (2, batch, 1), device=images.device)
    rows = shift[0] + torch.arange(height, device=images.device)
    columns = shift[1] + torch.arange(width, device=images.device)
    index = torch.arange(batch, device=images.device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def shift_and_flip(images: Tensor, pixels: int, flip: bool) -> Tensor:
    """The encoder's training augmentation: `translate`, and a horizontal flip of half of them.

    Args:
        images: float [B, C, H, W].
    """
    images = translate(images, pixels)
    if flip:
        chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
        images = torch.where(chosen, images.flip(3), images)
    return images
