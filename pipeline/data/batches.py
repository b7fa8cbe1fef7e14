"""The batches of a part: from memory where the set is small, from shards where it is not."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.data import features, shards
from pipeline.data.manifest import Manifest
from pipeline.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from sgan.training.step import Batch

LABELS = "y"


def column(level: int) -> str:
    """Name of h_i's column in the features file."""
    return f"h{level}"


def batches(
    paths: dict[str, str],
    hidden: tuple[int, ...],
    to_h0: "Callable[[Tensor], Tensor]",
    batch_size: int,
    seed: int,
    *,
    device: "torch.device",
    resident_bytes: int,
    window: int = 16,
    rank: int = 0,
    world_size: int = 1,
    section: str = "",
) -> "Callable[[int], Batch]":
    """The batch of any step, on `device`: h_i for i in `hidden`, and y.

    Images (level 0) are held on the device as uint8 while they take at most `resident_bytes`, and
    stream from their shards, `window` at a time, above that. Both give the same batches. Features
    are mapped from the file; a part without level 0 touches no image.

    `section` of params.yaml is where the batch size stands ("levels.0"), for messages.
    Raises UserError for damaged shards, and for a batch size that the set does not hold or that
    the workers cannot share.
    """
    import torch

    from sgan.training.batches import TensorBatches

    manifest = Manifest.load(paths["data"])
    sizes = manifest.shard_sizes("train")
    _check(batch_size, sum(sizes), world_size, f"{section}.batch_size".lstrip("."))
    upper = {i: features.read(paths["features"], column(i)) for i in hidden if i > 0}
    if device.type != "cpu":
        upper = {i: h.to(device) for i, h in upper.items()}
    common: dict[str, Any] = {
        "shard_sizes": sizes,
        "window": window,
        "rank": rank,
        "world_size": world_size,
    }
    if 0 not in hidden:
        y = features.read(paths["features"], LABELS).to(device)
        return TensorBatches(upper, y, to_h0, batch_size, seed, **common)
    channels, height, width = manifest.image_shape
    if sum(sizes) * channels * height * width <= resident_bytes:
        images, labels = shards.read_split(paths["data"], "train")
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(device)
        y = torch.from_numpy(labels).to(device)
        return TensorBatches({0: pixels, **upper}, y, to_h0, batch_size, seed, **common)
    stream = ShardBatches(Path(paths["data"]), upper, to_h0, batch_size, seed, device)
    stream.place(sum(sizes), window, rank, world_size)
    return stream


def _check(batch_size: int, rows: int, world_size: int, setting: str) -> None:
    if batch_size > rows:
        raise UserError(
            f"{setting} = {batch_size}: must be at most the {rows} training images; lower it, or "
            "give more images (data.source, data.max_train)"
        )
    if batch_size % world_size:
        raise UserError(
            f"{setting} = {batch_size}: must divide by the part's {world_size} workers "
            "(runtime.workers_per_level); change either"
        )


class ShardBatches:
    """Batches streamed from the shards, in the order of `sgan.training.order.epoch_order`.

    Steps may start anywhere (a resumed run skips to its place) and then follow one another.
    """

    def __init__(
        self,
        directory: Path,
        upper: "dict[int, Tensor]",
        to_h0: "Callable[[Tensor], Tensor]",
        batch_size: int,
        seed: int,
        device: "torch.device",
    ) -> None:
        self.directory, self.upper, self.to_h0 = directory, upper, to_h0
        self.batch_size, self.seed, self.device = batch_size, seed, device
        self._next = -1
        self._stream: Iterator[shards.Batch] = iter(())

    def place(self, rows: int, window: int, rank: int, world_size: int) -> None:
        """Say how many rows there are, how many shards to shuffle together, and who this is."""
        self.rows, self.window, self.rank, self.world_size = rows, window, rank, world_size

    def __call__(self, index: int) -> "Batch":
        """The batch of step `index`."""
        import torch

        from sgan.training.step import Batch

        epoch, position = divmod(index, self.rows // self.batch_size)
        if index != self._next or position == 0:
            self._stream = shards.stream(
                str(self.directory),
                "train",
                window=self.window,
                seed=self.seed,
                epoch=epoch,
                batch_size=self.batch_size,
                skip=position * self.batch_size,
            )
        self._next = index + 1
        rows, images, labels = next(self._stream)
        mine = slice(self.rank, None, self.world_size)
        pixels = torch.from_numpy(images[mine]).permute(0, 3, 1, 2).to(self.device)
        places = torch.from_numpy(rows[mine]).to(self.device)
        hidden = {i: h[places] for i, h in self.upper.items()}
        hidden[0] = self.to_h0(pixels)
        return Batch(hidden, torch.from_numpy(labels[mine]).to(self.device))
