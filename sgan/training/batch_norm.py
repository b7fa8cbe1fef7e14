"""Batch norm over the images of all workers; torch.nn.SyncBatchNorm is for CUDA alone.

With m_r and v_r the mean and the (biased) variance of a channel on rank r of R, whose shares of a
batch are equal:

    μ  = 1/R Σ_r m_r
    σ² = 1/R Σ_r (v_r + m_r²) - μ²
    y  = γ (x - μ) / √(σ² + ε) + β

Autograd goes back through these lines. What a sum over ranks sends back is the sum over ranks of
its gradients, so x receives what it changes in the losses of all ranks; with the mean over ranks of
the parameters' gradients that is the gradient of the mean loss, as one worker has it. The same
holds for gradients of gradients (R1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sgan.training.comm import Comm


class SynchronisedBatchNorm(nn.BatchNorm2d):
    """Takes the place of `norm`, with its parameters and buffers; in eval mode it does the same.

    In training every rank has to call it, and its backward pass, equally often.
    """

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d, comm: Comm) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.training, self.comm = norm.training, comm

    def forward(self, input: Tensor) -> Tensor:
        """float [B, C] or [B, C, H, W], this rank's share -> the same shape and dtype."""
        if not self.training:
            return nn.functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        dims = [0, *range(2, x.dim())]
        var, mean = (s.double() for s in torch.var_mean(x, dims, correction=0))
        sums = self.comm.sum_over_ranks(torch.cat([mean, var + mean.square()]))
        mean, square = (sums / self.comm.world_size).chunk(2)
        var = square - mean.square()
        self._follow(mean, var, x.numel() // len(mean) * self.comm.world_size)
        shape = (-1, *(1 for _ in dims[1:]))
        scale = self.weight * (var + self.eps).rsqrt().to(x.dtype)
        y = (x - mean.to(x.dtype).view(shape)) * scale.view(shape) + self.bias.view(shape)
        return y.to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, var: Tensor, count: int) -> None:
        """The running statistics, of `count` values a channel; as torch's batch norm keeps them."""
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        seen = self.num_batches_tracked.item()
        weight = 1.0 / seen if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
        unbiased = var * (count / (count - 1))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), weight)


def synchronise(net: nn.Module, comm: Comm) -> None:
    """Every batch norm below `net` goes over all ranks from now on; names in its state stay."""
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(parent, name, SynchronisedBatchNorm(child, comm))


@contextmanager
def statistics_anew(nets: Iterable[nn.Module]) -> Iterator[None]:
    """The running statistics of every batch norm become the mean over the batches that pass within.

    Args:
        nets: in training mode; nothing is learnt here but the statistics.
    """
    norms = [
        norm
        for net in nets
        for norm in net.modules()
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's name for the mean over all batches
    try:
        with torch.no_grad():
            yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
