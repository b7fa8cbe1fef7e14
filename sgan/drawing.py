"""Images by seed: the same 8 bits for a seed, whatever else is drawn at the same time.

The last bits of a sum depend on how many rows are computed at once, on threads and on the
processor. In single precision they reach the 8 bits of a pixel now and then; in double precision
they are a billion times too small for that. So the nets run in double here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sgan.stack import Stack

SEEDS = 2**31  # seeds are 0 to SEEDS - 1
_ROWS = 64


class Drawer:
    """Draws images of a whole stack.

    Args:
        stack: on the CPU. Taken over: it is put into eval mode and double precision.

    Attributes:
        stack: the same.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack.double().eval()

    @property
    def z_dims(self) -> dict[int, int]:
        """Length of z_i, by level."""
        levels = range(self.stack.num_levels)
        return {i: self.stack.level(i).config.z_dim for i in levels}

    def noise(self, seeds: Sequence[int]) -> dict[int, Tensor]:
        """z_i float64 [B, z_dim] in [0, 1) of every level, each row from its own seed.

        A seed's z_i are drawn from the top level down, as `Stack.sample_hidden` draws them.
        """
        rows: dict[int, list[Tensor]] = {i: [] for i in range(self.stack.num_levels)}
        for seed in seeds:
            generator = torch.Generator().manual_seed(seed)
            for i in reversed(rows):
                rows[i].append(self.stack.level(i).draw_z(1, generator).double())
        empty = {i: torch.empty(0, dim, dtype=torch.float64) for i, dim in self.z_dims.items()}
        return {i: torch.cat(drawn) if drawn else empty[i] for i, drawn in rows.items()}

    def images(self, y: Tensor, z: Mapping[int, Tensor]) -> Tensor:
        """Images uint8 [B, H, W, C] of labels y int64 [B].

        Args:
            z: z_i [B, z_dim] in [0, 1] of every level.
        """
        channels, height, width = self.stack.config.image.shape
        if not len(y):
            return torch.empty(0, height, width, channels, dtype=torch.uint8)
        return self.stack.sample_uint8(y, {i: v.double() for i, v in z.items()}, batch_size=_ROWS)


def seeds_from(seed: int, count: int) -> list[int]:
    """The seeds of `count` images that are asked for by one: seed, seed + 1, … (modulo SEEDS)."""
    return [(seed + k) % SEEDS for k in range(count)]
