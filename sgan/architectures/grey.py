"""The two layers at a grey image, in the time that their few operations should take on a CPU.

oneDNN runs a transposed convolution to one channel at a tenth of its usual speed, and the gradient
of a convolution with respect to an image of one channel likewise, which is the same operation. Both
are a small matrix product and a sum of shifted maps (col2im) here. Parameters, state dicts and
gradients of any order are those of the torch layers, which do it on other devices.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ToGrey(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d(channels, 1, side)`: float [B, C, H, W] -> [B, 1, H + side - 1, …].

    On a CPU the result is float32 or more exact, under autocast too.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__(channels, 1, side)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """x: float [B, C, H, W]; `output_size` is None."""
        if output_size is not None or not _is_ours(x):
            return super().forward(x, output_size)
        assert self.bias is not None
        x, weight = _as_autocast(x, self.weight)
        out: Tensor = _Deconvolved.apply(x, weight)
        return out + self.bias.view(1, 1, 1, 1)


class FromGrey(nn.Conv2d):
    """`nn.Conv2d(1, channels, side, stride, pad)`: float [B, 1, H, W] -> [B, channels, …]."""

    def __init__(self, channels: int, side: int, stride: int = 1, pad: int = 0) -> None:
        super().__init__(1, channels, side, stride, pad)
        self._place = (stride, pad)

    def forward(self, x: Tensor) -> Tensor:
        """x: float [B, 1, H, W]."""
        if not _is_ours(x):
            return super().forward(x)
        assert self.bias is not None
        out: Tensor = _Convolved.apply(*_as_autocast(x, self.weight, self.bias), *self._place)
        return out


def _is_ours(x: Tensor) -> bool:
    """Not where a graph is taken for another machine, such as ONNX's."""
    return x.device.type == "cpu" and not (torch.compiler.is_compiling() or torch.jit.is_tracing())


def _as_autocast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """As autocast would hand them to a convolution."""
    if not torch.is_autocast_enabled("cpu"):
        return tensors
    return tuple(tensor.to(torch.get_autocast_dtype("cpu")) for tensor in tensors)


def _spread(maps: Tensor, weight: Tensor, size: tuple[int, int], stride: int, pad: int) -> Tensor:
    """The transposed convolution of maps [B, C, H, W] by weight [C, 1, k, k] to [B, 1, *size]."""
    batch, channels = maps.shape[:2]
    rows = maps.permute(0, 2, 3, 1).reshape(batch, -1, channels)
    columns = torch.matmul(weight.reshape(channels, -1).t(), rows.transpose(1, 2))
    exact = columns.to(torch.promote_types(columns.dtype, torch.float32))
    return F.fold(exact, size, weight.shape[-1], padding=pad, stride=stride)


class _Deconvolved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        grown = weight.shape[-1] - 1
        return _spread(x, weight, (x.shape[2] + grown, x.shape[3] + grown), 1, 0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(
            _like(gradient, x), x, weight, None, *_plain(1, 0, True), [*ctx.needs_input_grad, False]
        )
        return of_x, of_weight


class _Convolved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: int, pad: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.place = (stride, pad)
        return F.conv2d(x, weight, bias, stride, pad)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = _spread(gradient, weight, x.shape[2:], *ctx.place).to(x.dtype)
        if any(ctx.needs_input_grad[1:3]):
            wanted = [False, *ctx.needs_input_grad[1:3]]
            _, of_weight, of_bias = torch.ops.aten.convolution_backward(
                _like(gradient, x), x, weight, [len(weight)], *_plain(*ctx.place), wanted
            )
        return of_x, of_weight, of_bias, None, None


def _like(gradient: Tensor, x: Tensor) -> Tensor:
    return gradient.to(x.dtype).contiguous(memory_format=torch.channels_last)


def _plain(stride: int, pad: int, transposed: bool = False) -> tuple[Any, ...]:
    """stride, padding, dilation, transposed, output padding and groups, as aten takes them."""
    return [stride] * 2, [pad] * 2, [1, 1], transposed, [0, 0], 1
