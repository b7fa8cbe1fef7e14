"""What several workers on one part say to each other: averages and broadcasts, no DDP wrapper.

A GAN's two phases use different parts of the graph, which DDP's wrapper does not take well; one
flat all-reduce of the gradients per phase is simpler and exact. Batch norm stays per rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, distributed
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors


class Comm:
    """One worker: rank 0 of 1; every exchange is the identity."""

    rank = 0
    world_size = 1

    def average_(self, tensors: Iterable[Tensor | None]) -> None:
        """Replace each tensor by its mean over ranks, in place; None entries are skipped."""

    def broadcast_(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by rank 0's, in place."""

    def average_number(self, value: float) -> float:
        """The mean of `value` over ranks, the same float on each: for what steers control flow."""
        return value

    def barrier(self) -> None:
        """Wait for every rank."""


class TorchComm(Comm):
    """Several workers over an initialised torch.distributed process group."""

    def __init__(self, device: torch.device) -> None:
        self.rank, self.world_size = distributed.get_rank(), distributed.get_world_size()
        self.device = device

    def average_(self, tensors: Iterable[Tensor | None]) -> None:
        """One all-reduce of everything, flattened, per dtype."""
        for group in _by_dtype([t for t in tensors if t is not None]):
            flat = _flatten_dense_tensors(group)
            distributed.all_reduce(flat)
            flat /= self.world_size
            for tensor, mean in zip(group, _unflatten_dense_tensors(flat, group), strict=True):
                tensor.copy_(mean)

    def broadcast_(self, tensors: Iterable[Tensor]) -> None:
        """One broadcast of everything, flattened, per dtype."""
        for group in _by_dtype(list(tensors)):
            flat = _flatten_dense_tensors(group)
            distributed.broadcast(flat, src=0)
            for tensor, value in zip(group, _unflatten_dense_tensors(flat, group), strict=True):
                tensor.copy_(value)

    def average_number(self, value: float) -> float:
        """All-reduce of one float64."""
        tensor = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.all_reduce(tensor)
        return tensor.item() / self.world_size

    def barrier(self) -> None:
        """torch.distributed.barrier."""
        distributed.barrier()


def _by_dtype(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    groups: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault(tensor.dtype, []).append(tensor)
    return list(groups.values())
