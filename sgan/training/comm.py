"""What several workers on one part say to each other: one flat exchange a phase, no DDP wrapper.

A GAN's two phases use different parts of the graph, which DDP's wrapper does not take well. Here
each phase packs its gradients and its losses into one buffer and adds it up over the ranks in one
exchange: an all-reduce in float32, or, where up to four ranks compute in bfloat16, each to each,
large gradients in bfloat16. Such a one is that of autocast's copy of its parameter: nothing is
rounded, and half the bytes travel; sums are in float32 all the same. Every rank has the same bits,
as each sum is made on one rank and handed on, or on each in the order of the ranks; on one kind of
machine they follow from rank, number of ranks and size, so a run that is repeated, or resumed,
repeats its bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, distributed, nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

_EACH_TO_EACH = 4  # ranks; among more, an all-reduce in float32 moves less
_LARGE = 4096  # values; the small layers at a grey image cast their weights at each call


class Comm:
    """One worker: rank 0 of 1; every exchange is the identity."""

    rank = 0
    world_size = 1

    def backward(self, loss: Tensor) -> None:
        """A backward pass of this rank's share of the mean loss: what the ranks' gradients, once
        they are added up, are of. Scaled here, no pass over the gradients has to."""
        loss.backward()

    def average_gradients(
        self,
        nets: Iterable[nn.Module],
        terms: Mapping[str, Tensor],
        computed: torch.dtype = torch.float32,
    ) -> dict[str, Tensor]:
        """After `backward`: each parameter's gradient becomes that of the mean loss over ranks.

        Args:
            nets: those whose gradients there are; the same on every rank.
            terms: scalars by name, on every rank the same names in the same order.
            computed: what the nets' matrix work ran in.

        Returns:
            The mean of each term over ranks, the same bits on each: fit to steer control flow.
        """
        return {name: term.detach() for name, term in terms.items()}

    def sum_over_ranks(self, tensor: Tensor) -> Tensor:
        """The sum over ranks, through which gradients go back: each rank's is their sum."""
        return tensor

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
        self._buffers: dict[tuple[int, torch.dtype], Tensor] = {}

    def backward(self, loss: Tensor) -> None:
        """Of loss / world_size; exact where that is a power of two."""
        # A gradient as an argument would have torch load its compiler: 0.7 s and more of each rank.
        (loss / self.world_size).backward()

    def average_gradients(
        self,
        nets: Iterable[nn.Module],
        terms: Mapping[str, Tensor],
        computed: torch.dtype = torch.float32,
    ) -> dict[str, Tensor]:
        """One exchange of everything; afterwards the gradients are views of its buffer, which has
        the sum of the ranks' shares."""
        named = [item for net in nets for item in net.named_parameters()]
        narrow = {p: _is_narrow(name, p) for name, p in named if p.grad is not None}
        own = sorted(narrow, key=narrow.__getitem__)
        gradients = [p.grad for p in own if p.grad is not None]
        values = [torch.stack([term.detach() for term in terms.values()]), *gradients]
        flat = self._buffer(sum(value.numel() for value in values), gradients[0].dtype)
        if computed == torch.bfloat16 and self.world_size <= _EACH_TO_EACH:
            self._each_to_each(flat, values, len(values) - sum(narrow.values()))
        else:
            torch._foreach_copy_(_views(flat, values), values)
            distributed.all_reduce(flat)
        means = _views(flat, values)
        for parameter, mean in zip(own, means[1:], strict=True):
            parameter.grad = mean
        return dict(zip(terms, means[0] / self.world_size, strict=True))

    def _each_to_each(self, flat: Tensor, values: list[Tensor], wide: int) -> None:
        """flat becomes the sum of every rank's values, of which those behind the first `wide`
        travel in bfloat16."""
        exact = sum(value.numel() for value in values[:wide])
        large = len(flat) - exact
        size = 2 * exact + large + large % 2  # even, so that each rank's float32 are aligned
        every = self._buffer(self.world_size * size, torch.bfloat16)
        mine = self._buffer(size, torch.bfloat16)

        def parts(row: Tensor) -> tuple[Tensor, Tensor]:
            return row[: 2 * exact].view(flat.dtype), row[2 * exact : 2 * exact + large]

        for part, own in zip(parts(mine), (values[:wide], values[wide:]), strict=True):
            for place, value in zip(_views(part, own), own, strict=True):
                place.copy_(value)
        # torch 2.13's name, and the one before it
        gather = getattr(distributed, "all_gather_single", None)
        (gather or distributed.all_gather_into_tensor)(every, mine)
        heads, tails = zip(*map(parts, every.view(self.world_size, -1)), strict=True)
        for total, shares in ((flat[:exact], heads), (flat[exact:], tails)):
            total.copy_(shares[0])
            for share in shares[1:]:
                total.add_(share.to(total.dtype))  # of two dtypes it would take three times as long

    def sum_over_ranks(self, tensor: Tensor) -> Tensor:
        """An all-reduce, and one for the gradient."""
        summed: Tensor = _Sum.apply(tensor)
        return summed

    def _buffer(self, size: int, dtype: torch.dtype) -> Tensor:
        """Kept from step to step: fresh memory costs as much as the copy into it. Two phases of
        one size may share it, as the first has stepped when the second packs."""
        if (size, dtype) not in self._buffers:
            self._buffers[size, dtype] = torch.empty(size, dtype=dtype, device=self.device)
        return self._buffers[size, dtype]

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


class _Sum(torch.autograd.Function):
    """y = Σ_r x_r on every rank; so dL/dx_r = Σ_s dL_s/dy, of the losses of all ranks s."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        y = x.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(y)
        return y

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        summed: Tensor = _Sum.apply(*gradients)
        return summed


def _is_narrow(name: str, parameter: Tensor) -> bool:
    """Whether its gradient is one of a bfloat16 copy, as far as its place says: spectral norm's
    weights are divided in float32 before they are copied."""
    direct = "parametrizations" not in name.split(".")
    return direct and parameter.dim() > 1 and parameter.numel() >= _LARGE


def _views(flat: Tensor, values: Sequence[Tensor]) -> list[Tensor]:
    """Pieces of a buffer, one behind the other, as the values lie in memory."""
    views, start = [], 0
    for value in values:
        views.append(
            flat[start:].as_strided(value.size(), value.stride(), flat[start:].storage_offset())
        )
        start += value.numel()
    return views


def _by_dtype(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    groups: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault(tensor.dtype, []).append(tensor)
    return list(groups.values())
