"""What several workers on one part say to each other: one flat all-reduce a phase, no DDP wrapper.

A GAN's two phases use different parts of the graph, which DDP's wrapper does not take well. Here
each phase packs its gradients and its losses into one buffer, of the gradients' dtype (float32, as
parameters are in bfloat16 training too), and adds it up over the ranks in one exchange. Every rank
receives the same bits, as each sum is made on one rank and handed on; on one kind of machine the
order of the sum follows from rank, number of ranks and size, so a run that is repeated, or resumed,
repeats its bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, distributed, nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors


class Comm:
    """One worker: rank 0 of 1; every exchange is the identity."""

    rank = 0
    world_size = 1

    def backward(self, loss: Tensor) -> None:
        """A backward pass of this rank's share of the mean loss: what the ranks' gradients, once
        they are added up, are of. Scaled here, no pass over the gradients has to."""
        loss.backward()

    def average_gradients(
        self, nets: Iterable[nn.Module], terms: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """After `backward`: each parameter's gradient becomes that of the mean loss over ranks.

        Args:
            nets: those whose gradients there are; the same on every rank.
            terms: scalars by name, on every rank the same names in the same order.

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
        loss.backward(loss.new_tensor(1 / self.world_size))

    def average_gradients(
        self, nets: Iterable[nn.Module], terms: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """One all-reduce of everything; afterwards the gradients are views of its buffer, which
        has the sum of the ranks' shares."""
        own = [p for net in nets for p in net.parameters() if p.grad is not None]
        gradients = [p.grad for p in own if p.grad is not None]
        size = sum(p.numel() for p in own)
        flat = self._buffer(size + len(terms), gradients[0].dtype)
        means = [
            flat.as_strided(p.size(), p.stride(), offset)
            for p, offset in zip(own, _offsets(own), strict=True)
        ]
        torch._foreach_copy_(means, gradients)
        flat[size:] = torch.stack([term.detach() for term in terms.values()])
        distributed.all_reduce(flat)
        for parameter, mean in zip(own, means, strict=True):
            parameter.grad = mean
        return dict(zip(terms, flat[size:] / self.world_size, strict=True))

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


def _offsets(tensors: Sequence[Tensor]) -> list[int]:
    """Where each tensor begins when they lie one behind the other."""
    starts, end = [], 0
    for tensor in tensors:
        starts.append(end)
        end += tensor.numel()
    return starts


def _by_dtype(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    groups: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault(tensor.dtype, []).append(tensor)
    return list(groups.values())
