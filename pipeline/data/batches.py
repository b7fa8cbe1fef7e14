"""The batches of a training: from memory where the set is small, from shards where it is not."""

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
    stream from their shards, `window` at a time, above that. Both give the same batches. A task
    that does not need level 0 touches no image.

    Args:
        task: says what a batch must hold, its size and the seed of the order.
        data: folder or address of the shards.
        upper: h_i float32 [N, *h_i] of the levels above 0 that the task needs, by i.
        y: labels int64 [N]; needed where the task needs no images.
        device: where the batches go.
        resident_bytes: largest image set to be held on the device.
        window: shards that are shuffled together.
        shares: this worker's rows; all by default.
        section: where the batch size stands in params.yaml ("levels.0"), for messages.

    Raises:
        UserError: damaged shards, or a batch size that the set does not hold or that the workers
            cannot share.
    """
    import torch

    from sgan.training.batches import TensorBatches

    shares, manifest = shares or Shares(), Manifest.load(data)
    sizes, size, seed = manifest.shard_sizes("train"), task.batch_size, task.seed
    _check(size, sum(sizes), shares.world_size, section)
    columns = {i: h if device.type == "cpu" else h.to(device) for i, h in (upper or {}).items()}
    common: dict[str, Any] = {
        "shard_sizes": sizes,
        "window": window,
        "rank": shares.rank,
        "world_size": shares.world_size,
    }
    if 0 not in task.hidden_needed:
        assert y is not None
        return TensorBatches(columns, y.to(device), task.to_h0, size, seed, **common)
    channels, height, width = manifest.image_shape
    if sum(sizes) * channels * height * width <= resident_bytes:
        images, labels = shards.read_split(data, "train")
        columns[0] = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(device)
        y = torch.from_numpy(labels).to(device)
        return TensorBatches(columns, y, task.to_h0, size, seed, **common)
    return ShardBatches(data, sum(sizes), columns, task, device, window, shares)


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

    Steps may start anywhere (a resumed run skips to its place) and then follow one another.
    """

    def __init__(
        self,
        directory: str,
        rows: int,
        upper: "Mapping[int, Tensor]",
        task: "Task",
        device: "torch.device",
        window: int,
        shares: Shares,
    ) -> None:
        self.directory, self.rows, self.upper = directory, rows, dict(upper)
        self.batch_size, self.seed, self.to_h0 = task.batch_size, task.seed, task.to_h0
        self.device, self.window, self.shares = device, window, shares
        self._next = -1
        self._stream: Iterator[shards.Batch] = iter(())

    def __call__(self, index: int) -> "Batch":
        """The batch of step `index`."""
        import torch

        from sgan.training.batch import Batch

        epoch, position = divmod(index, self.rows // self.batch_size)
        if index != self._next or position == 0:
            self._stream = shards.stream(
                self.directory,
                "train",
                window=self.window,
                seed=self.seed,
                epoch=epoch,
                batch_size=self.batch_size,
                skip=position * self.batch_size,
            )
        self._next = index + 1
        rows, images, labels = next(self._stream)
        mine = slice(self.shares.rank, None, self.shares.world_size)
        pixels = torch.from_numpy(images[mine]).permute(0, 3, 1, 2).to(self.device)
        places = torch.from_numpy(rows[mine]).to(self.device)
        hidden = {i: h[places] for i, h in self.upper.items()}
        hidden[0] = self.to_h0(pixels)
        return Batch(hidden, torch.from_numpy(labels[mine]).to(self.device))
