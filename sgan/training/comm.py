"""What several workers on one part say to each other: one flat all-reduce a phase, no DDP wrapper.

A GAN's two phases use different parts of the graph, which DDP's wrapper does not take well. Here
each phase packs its gradients and its losses into one buffer, of the parameters' dtype (float32, in
bfloat16 training too), and adds it up over the ranks, piece by piece while the backward pass makes
the rest. Every rank receives the same bits, as each sum is made on one rank and handed on; its
order follows from rank, number of ranks and size, so a run that is repeated, or resumed, repeats
its bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, distributed, nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

_PIECE_BYTES = 2**21


class Comm:
    """One worker: rank 0 of 1; every exchange is the identity."""

    rank = 0
    world_size = 1

    def backward(
        self, loss: Tensor, nets: Iterable[nn.Module], terms: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """`loss.backward()`, after which each parameter's gradient is its mean over ranks.

        Args:
            loss: scalar.
            nets: those that it trains, without gradients so far; the same on every rank.
            terms: scalars by name, on every rank the same names in the same order.

        Returns:
            The mean of each term over ranks, the same bits on each: fit to steer control flow.
        """
        loss.backward()
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

    def backward(
        self, loss: Tensor, nets: Iterable[nn.Module], terms: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """As above; afterwards the gradients are views of one buffer."""
        # Last layers first, as the backward pass comes to them.
        own = [p for net in nets for p in net.parameters() if p.requires_grad][::-1]
        flat = self._buffer(sum(p.numel() for p in own) + len(terms), own[0].dtype)
        means = flat[len(flat) - len(terms) :]
        means.copy_(torch.stack([term.detach() for term in terms.values()]) / self.world_size)
        exchange = _Exchange(own, flat, self.world_size)
        hooks = [p.register_post_accumulate_grad_hook(exchange.take) for p in own]
        try:
            loss.backward()
        finally:
            for hook in hooks:
                hook.remove()
        exchange.finish()
        return dict(zip(terms, means.clone(), strict=True))

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


class _Exchange:
    """Gradients of one backward pass on their way to all ranks, in pieces of some megabytes."""

    def __init__(self, parameters: Sequence[nn.Parameter], flat: Tensor, world_size: int) -> None:
        self._flat, self._world_size = flat, world_size
        self._works: list[distributed.Work | None] = []
        self._missing: list[int] = []  # gradients, by piece
        self._ends: list[int] = []  # of pieces in `flat`
        self._places: dict[nn.Parameter, tuple[Tensor, int]] = {}
        start, end, bytes_of_one = 0, 0, flat.element_size()
        for parameter in parameters:
            if end == start:
                self._missing.append(0)
                self._ends.append(0)
            mean = flat.as_strided(parameter.size(), parameter.stride(), end)
            self._places[parameter] = mean, len(self._ends) - 1
            self._missing[-1] += 1
            self._ends[-1] = end = end + parameter.numel()
            if (end - start) * bytes_of_one >= _PIECE_BYTES:
                start = end
        self._ends[-1] = len(flat)  # the terms go with the last

    def take(self, parameter: Tensor) -> None:
        """A gradient is there; the pieces that are whole go off, in the same order everywhere."""
        mean, piece = self._places[parameter]  # type: ignore[index]
        assert parameter.grad is not None
        torch.mul(parameter.grad, 1.0 / self._world_size, out=mean)
        parameter.grad = mean
        self._missing[piece] -= 1
        self._send()

    def _send(self) -> None:
        while (piece := len(self._works)) < len(self._ends) and not self._missing[piece]:
            start = self._ends[piece - 1] if piece else 0
            part = self._flat[start : self._ends[piece]]
            self._works.append(distributed.all_reduce(part, async_op=True))

    def finish(self) -> None:
        """Wait until every sum is there. A parameter that had no gradient keeps none."""
        for parameter, (mean, piece) in self._places.items():
            if parameter.grad is None:
                mean.zero_()
                self._missing[piece] -= 1
        self._send()
        for work in self._works:
            if work is not None:
                work.wait()


def _by_dtype(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    groups: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault(tensor.dtype, []).append(tensor)
    return list(groups.values())
