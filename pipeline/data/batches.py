"""The batches of a training: from memory where the set is small, from shards where it is not."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.data import shards
from pipeline.data.manifest import Manifest
from pipeline.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from sgan.training.batch import Batch
    from sgan.training.loop import Task


_PIECE = 1000  # rows moved to the device at once


@dataclass(frozen=True)
class Shares:
    """Which worker of how many this is; each takes every `world_size`-th row of a batch."""

    rank: int = 0
    world_size: int = 1


def batches(
    task: "Task",
    data: str,
    upper: "Mapping[int, Tensor] | None" = None,
    y: "Tensor | None" = None,
    *,
    device: "torch.device",
    resident_bytes: int,
    window: int = 16,
    shares: Shares | None = None,
    section: str = "",
) -> "Callable[[int], Batch]":
    """The batch of any step of a task, on `device`: the h_i that it needs, and y.

    Images (level 0) are held on the device as uint8 while they take at most `resident_bytes`, and
    stream from their shards, `window` at a time, above that; the h_i above it are moved to the
    device while they fit beside them, and gathered from where they are mapped else. All give the
    same batches. A task that does not need level 0 touches no image.

    Args:
        task: says what a batch must hold, its size and the seed of the order.
        data: folder or address of the shards.
        upper: h_i float32 [N, *h_i] of the levels above 0 that the task needs, by i.
        y: labels int64 [N]; needed where the task needs no images.
        device: where the batches go.
        resident_bytes: the largest image set, and the most of features, to be held on the device.
        window: shards that are shuffled together.
        shares: this worker's rows; all by default.
        section: where the batch size stands in params.yaml ("levels.0"), for messages.

    Raises:
        UserError: damaged shards, or a batch size that the set does not hold or that the workers
            cannot share.
    """
    from sgan.training.batches import TensorBatches

    shares, manifest = shares or Shares(), Manifest.load(data)
    sizes, size, seed = manifest.shard_sizes("train"), task.batch_size, task.seed
    _check(size, sum(sizes), shares.world_size, section)
    columns: dict[int, Any] = _placed(upper or {}, device, resident_bytes)
    common: dict[str, Any] = {
        "shard_sizes": sizes,
        "window": window,
        "rank": shares.rank,
        "world_size": shares.world_size,
    }
    if 0 not in task.hidden_needed:
        assert y is not None
        return TensorBatches(columns, y.to(device), task.to_h0, size, seed, **common)
    if sum(sizes) * math.prod(manifest.image_shape) <= resident_bytes:
        columns[0], y = _held(data, manifest, device)
        return TensorBatches(columns, y, task.to_h0, size, seed, **common)
    return ShardBatches(data, columns, task, device, window, shares)


def _placed(
    upper: "Mapping[int, Tensor]", device: "torch.device", most_bytes: int
) -> "dict[int, Tensor | _Elsewhere]":
    """The h_i as what gives rows on `device`."""
    if device.type == "cpu":
        return dict(upper)
    if sum(h.nbytes for h in upper.values()) > most_bytes:
        return {i: _Elsewhere(h, device) for i, h in upper.items()}
    return {i: h.to(device) for i, h in upper.items()}


@dataclass(frozen=True)
class _Elsewhere:
    """A tensor mapped from a file, whose rows are moved to the device as they are asked for."""

    tensor: "Tensor"
    device: "torch.device"

    def __getitem__(self, rows: "Tensor") -> "Tensor":
        return self.tensor[rows.to(self.tensor.device)].to(self.device)


def _held(data: str, manifest: Manifest, device: "torch.device") -> "tuple[Tensor, Tensor]":
    """All training images, uint8 [N, C, H, W], and labels on the device; no second copy of them
    is made on the way."""
    import torch

    rows, (channels, height, width) = manifest.rows("train"), manifest.image_shape
    pixels = torch.empty((rows, channels, height, width), dtype=torch.uint8, device=device)
    if channels == 1:  # strides decide the kernels: those of permuted images, as when streamed
        pixels = pixels.view(rows, height, width, 1).permute(0, 3, 1, 2)
    y = torch.empty(rows, dtype=torch.int64, device=device)
    for batch in shards.in_order(data, "train", _PIECE):
        part = slice(int(batch.rows[0]), int(batch.rows[-1]) + 1)
        pixels[part] = torch.from_numpy(batch.images).permute(0, 3, 1, 2).to(device)
        y[part] = torch.from_numpy(batch.labels).to(device)
    return pixels, y


def _check(batch_size: int, rows: int, world_size: int, section: str) -> None:
    within = f"{section}." if section else ""
    setting = f"{within}batch_size"
    if batch_size > rows:
        raise UserError(
            f"{setting} = {batch_size}: must be at most the {rows} training images; lower it, or "
            "give more images (data.source, data.max_train)"
        )
    if batch_size % world_size:
        raise UserError(
            f"{setting} = {batch_size}: must divide by the part's {world_size} workers "
            f"({within}workers); change either"
        )


class ShardBatches:
    """Batches streamed from the shards, in the order of `sgan.training.order.epoch_order`.

    Steps may start anywhere (a resumed run skips to its place) and then follow one another. A rank
    holds its own rows only. Nothing is read beyond the training's last step.
    """

    def __init__(
        self,
        directory: str,
        upper: "Mapping[int, Any]",
        task: "Task",
        device: "torch.device",
        window: int,
        shares: Shares,
    ) -> None:
        from sgan.training.loop import total_steps

        self.directory, self.upper, self.window = directory, dict(upper), window
        self.batch_size, self.seed, self.to_h0 = task.batch_size, task.seed, task.to_h0
        self.device, self.shares, self.steps = device, shares, total_steps(task)
        self._next = -1
        self._stream: Iterator[shards.Batch] = iter(())

    def __call__(self, index: int) -> "Batch":
        """The batch of step `index`."""
        import torch

        from sgan.training.batch import Batch

        if index != self._next or index == self.steps:
            self._stream = self._from(index)
        self._next = index + 1
        rows, images, labels = next(self._stream)
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(self.device)
        places = torch.from_numpy(rows).to(self.device)
        hidden = {i: h[places] for i, h in self.upper.items()}
        hidden[0] = self.to_h0(pixels)
        return Batch(hidden, torch.from_numpy(labels).to(self.device))

    def _from(self, index: int) -> Iterator[shards.Batch]:
        return shards.stream(
            self.directory,
            "train",
            window=self.window,
            seed=self.seed,
            batch_size=self.batch_size,
            start=index,
            stop=self.steps if index < self.steps else None,
            rank=self.shares.rank,
            world_size=self.shares.world_size,
        )
