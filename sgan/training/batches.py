"""Batches by step number from tensors held on the training device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from sgan.training.batch import Batch
from sgan.training.order import epoch_order


class TensorBatches:
    """Gathers the batch of any step: a pure function of (seed, step, rank).

    Args:
        columns: h_i by i, each [rows, *h_i] (level 0 uint8 pixels [rows, C, H, W]); equal rows.
        y: labels int64 [rows].
        to_h0: uint8 pixels -> h_0, applied to column 0 batch by batch.
        batch_size: images per step over all ranks.
        seed: fixes the order.
        shard_sizes: rows per shard of the stored set (their sum is `rows`), for `epoch_order`.
        window: shards shuffled together.
        rank, world_size: this worker takes every world_size-th row of each batch.

    Raises:
        ValueError: batch_size above the number of rows, or not divisible by world_size.
    """

    def __init__(
        self,
        columns: Mapping[int, Tensor],
        y: Tensor,
        to_h0: Callable[[Tensor], Tensor],
        batch_size: int,
        seed: int,
        *,
        shard_sizes: Sequence[int] | None = None,
        window: int = 16,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size > len(y):
            raise ValueError(f"batch_size = {batch_size}: must be at most the {len(y)} images")
        if batch_size % world_size:
            raise ValueError(f"batch_size = {batch_size}: must divide by {world_size} workers")
        self.columns, self.y, self.to_h0 = dict(columns), y, to_h0
        self.batch_size, self.seed = batch_size, seed
        self.shard_sizes, self.window = list(shard_sizes or [len(y)]), window
        self.rank, self.world_size = rank, world_size
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the set; the rest of an epoch's rows sit it out."""
        return len(self.y) // self.batch_size

    def rows(self, index: int) -> Tensor:
        """Row indices of step `index` on this rank, int64 [batch_size / world_size]."""
        epoch, position = divmod(index, self.steps_per_epoch)
        if epoch != self._epoch:
            order = epoch_order(self.shard_sizes, self.window, self.seed, epoch)
            self._order = torch.from_numpy(order).to(self.y.device)
            self._epoch = epoch
        start = position * self.batch_size
        return self._order[start : start + self.batch_size][self.rank :: self.world_size]

    def __call__(self, index: int) -> Batch:
        """The batch of step `index`."""
        rows = self.rows(index)
        hidden = {i: column[rows] for i, column in self.columns.items()}
        if 0 in hidden:
            hidden[0] = self.to_h0(hidden[0])
        return Batch(hidden, self.y[rows])
