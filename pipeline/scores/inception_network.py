"""The Inception network of 2015-12-05 up to its 2048 pooled features: the one that FID means.

It differs from later Inception v3: averages leave the padding out, the last block pools by maximum.
Batch norm is folded into the convolutions, so a unit is a convolution with a bias, and a ReLU.
Structure: Szegedy et al. 2015 (arXiv 1512.00567) and the frozen graph of that date.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

FEATURES = 2048
LAST_LAYER = "output.weight"
BATCH_NORM_EPS = 1e-3


class Unit(nn.Module):
    """Convolution with bias and ReLU; padding keeps the size unless `valid`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int] = 1,
        stride: int = 1,
        valid: bool = False,
    ) -> None:
        super().__init__()
        high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (0, 0) if valid else (high // 2, wide // 2)
        self.conv = nn.Conv2d(inputs, outputs, (high, wide), stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H', W']."""
        return functional.relu(self.conv(x), inplace=True)


def _tower(*units: Unit) -> nn.Sequential:
    """Units named as in the frozen graph: conv, conv_1, conv_2, …"""
    tower = nn.Sequential()
    for index, unit in enumerate(units):
        tower.add_module(f"conv_{index}" if index else "conv", unit)
    return tower


def _average(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class BlockA(nn.Module):
    """35 x 35: 1x1, 5x5, twice 3x3 and a pooled branch of `pooled` channels."""

    def __init__(self, inputs: int, pooled: int) -> None:
        super().__init__()
        self.conv = Unit(inputs, 64)
        self.tower = _tower(Unit(inputs, 48), Unit(48, 64, 5))
        self.tower_1 = _tower(Unit(inputs, 64), Unit(64, 96, 3), Unit(96, 96, 3))
        self.tower_2 = _tower(Unit(inputs, pooled))

    def forward(self, x: Tensor) -> Tensor:
        """Four branches side by side."""
        pooled = self.tower_2(_average(x))
        return torch.cat([self.conv(x), self.tower(x), self.tower_1(x), pooled], 1)


class BlockB(nn.Module):
    """35 x 35 to 17 x 17."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv = Unit(inputs, 384, 3, 2, valid=True)
        self.tower = _tower(Unit(inputs, 64), Unit(64, 96, 3), Unit(96, 96, 3, 2, valid=True))

    def forward(self, x: Tensor) -> Tensor:
        """Two branches beside the pooled input."""
        return torch.cat([self.conv(x), self.tower(x), functional.max_pool2d(x, 3, 2)], 1)


class BlockC(nn.Module):
    """17 x 17: 7x7 convolutions as 1x7 and 7x1, `width` channels inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        flat, tall = (1, 7), (7, 1)
        self.conv = Unit(768, 192)
        self.tower = _tower(Unit(768, width), Unit(width, width, flat), Unit(width, 192, tall))
        self.tower_1 = _tower(
            Unit(768, width),
            Unit(width, width, tall),
            Unit(width, width, flat),
            Unit(width, width, tall),
            Unit(width, 192, flat),
        )
        self.tower_2 = _tower(Unit(768, 192))

    def forward(self, x: Tensor) -> Tensor:
        """Four branches side by side."""
        pooled = self.tower_2(_average(x))
        return torch.cat([self.conv(x), self.tower(x), self.tower_1(x), pooled], 1)


class BlockD(nn.Module):
    """17 x 17 to 8 x 8."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = _tower(Unit(768, 192), Unit(192, 320, 3, 2, valid=True))
        self.tower_1 = _tower(
            Unit(768, 192),
            Unit(192, 192, (1, 7)),
            Unit(192, 192, (7, 1)),
            Unit(192, 192, 3, 2, valid=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Two branches beside the pooled input."""
        return torch.cat([self.tower(x), self.tower_1(x), functional.max_pool2d(x, 3, 2)], 1)


class BlockE(nn.Module):
    """8 x 8: branches that split into 1x3 and 3x1; the pool is a maximum in the last block."""

    def __init__(self, inputs: int, maximum: bool) -> None:
        super().__init__()
        self.maximum = maximum
        self.conv = Unit(inputs, 320)
        self.tower_conv = Unit(inputs, 384)
        self.tower_mixed_conv = Unit(384, 384, (1, 3))
        self.tower_mixed_conv_1 = Unit(384, 384, (3, 1))
        self.tower_1_conv = Unit(inputs, 448)
        self.tower_1_conv_1 = Unit(448, 384, 3)
        self.tower_1_mixed_conv = Unit(384, 384, (1, 3))
        self.tower_1_mixed_conv_1 = Unit(384, 384, (3, 1))
        self.tower_2_conv = Unit(inputs, 192)

    def forward(self, x: Tensor) -> Tensor:
        """Six branches side by side."""
        a, b = self.tower_conv(x), self.tower_1_conv_1(self.tower_1_conv(x))
        pooled = functional.max_pool2d(x, 3, 1, 1) if self.maximum else _average(x)
        return torch.cat(
            [
                self.conv(x),
                self.tower_mixed_conv(a),
                self.tower_mixed_conv_1(a),
                self.tower_1_mixed_conv(b),
                self.tower_1_mixed_conv_1(b),
                self.tower_2_conv(pooled),
            ],
            1,
        )


class InceptionTrunk(nn.Module):
    """float [B, 3, 299, 299], pixels p as (p - 128) / 128 -> features [B, 2048]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = Unit(3, 32, 3, 2, valid=True)
        self.conv_1 = Unit(32, 32, 3, valid=True)
        self.conv_2 = Unit(32, 64, 3)
        self.conv_3 = Unit(64, 80)
        self.conv_4 = Unit(80, 192, 3, valid=True)
        self.mixed, self.mixed_1, self.mixed_2 = BlockA(192, 32), BlockA(256, 64), BlockA(288, 64)
        self.mixed_3 = BlockB(288)
        self.mixed_4, self.mixed_5 = BlockC(128), BlockC(160)
        self.mixed_6, self.mixed_7 = BlockC(160), BlockC(192)
        self.mixed_8 = BlockD()
        self.mixed_9, self.mixed_10 = BlockE(1280, maximum=False), BlockE(2048, maximum=True)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, 299, 299] -> [B, 2048]."""
        x = self.conv_2(self.conv_1(self.conv(x)))
        x = self.conv_4(self.conv_3(functional.max_pool2d(x, 3, 2)))
        x = functional.max_pool2d(x, 3, 2)
        for name in ("mixed", *(f"mixed_{index}" for index in range(1, 11))):
            x = getattr(self, name)(x)
        return x.mean(dim=(2, 3))


def fold(
    weight: Tensor, mean: Tensor, variance: Tensor, beta: Tensor, gamma: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that does what convolution and batch norm did."""
    scale = (gamma if gamma is not None else 1.0) / (variance.double() + BATCH_NORM_EPS).sqrt()
    folded = weight.double() * scale[:, None, None, None]
    return folded.float(), (beta.double() - mean.double() * scale).float()


def from_frozen_graph(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The frozen graph's names ("…layers.conv.weight", ".beta", ".mean", ".var") -> ours, folded.

    The 1008-way last layer is kept as `output.weight` [1008, 2048] where it is there and not zero.
    Raises KeyError where a part is missing.
    """
    names = {key.partition("layers.")[2]: key for key in state if "layers." in key}
    ours: dict[str, Tensor] = {}
    for name in InceptionTrunk().state_dict():
        if not name.endswith(".conv.weight"):
            continue
        unit = name.removesuffix(".conv.weight")
        parts = (state[names[f"{unit}.{part}"]] for part in ("weight", "mean", "var", "beta"))
        ours[name], ours[f"{unit}.conv.bias"] = fold(*parts)
    _keep_last_layer(ours, next((v for k, v in state.items() if k.endswith(LAST_LAYER)), None))
    return ours


def from_fidelity(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names of torch-fidelity's file ("Mixed_5b.branch1x1.conv.weight", ".bn.…") -> ours."""
    ours: dict[str, Tensor] = {}
    for name in InceptionTrunk().state_dict():
        if not name.endswith(".conv.weight"):
            continue
        unit = name.removesuffix(".conv.weight")
        other = fidelity_name(unit)
        norm = ("running_mean", "running_var", "bias", "weight")
        ours[name], ours[f"{unit}.conv.bias"] = fold(
            state[f"{other}.conv.weight"], *(state[f"{other}.bn.{part}"] for part in norm)
        )
    _keep_last_layer(ours, state.get("fc.weight"))
    return ours


def fidelity_name(unit: str) -> str:
    """ "mixed_9.tower_mixed_conv" -> "Mixed_7b.branch3x3_2a"."""
    stem = {"conv": "1a_3x3", "conv_1": "2a_3x3", "conv_2": "2b_3x3", "conv_3": "3b_1x1"}
    stem["conv_4"] = "4a_3x3"
    if unit in stem:
        return f"Conv2d_{stem[unit]}"
    block, _, path = unit.partition(".")
    index = int(block.partition("_")[2] or 0)
    places = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")
    kind = "AAABCCCCDEE"[index]
    tower, _, inner = path.rpartition(".")
    step = int(inner.removeprefix("conv").lstrip("_") or 0) + 1 if kind != "E" else 0
    branches = {
        "A": {"": "branch1x1", "tower": f"branch5x5_{step}", "tower_1": f"branch3x3dbl_{step}"},
        "B": {"": "branch3x3", "tower": f"branch3x3dbl_{step}"},
        "C": {"": "branch1x1", "tower": f"branch7x7_{step}", "tower_1": f"branch7x7dbl_{step}"},
        "D": {"tower": f"branch3x3_{step}", "tower_1": f"branch7x7x3_{step}"},
    }
    last = {
        "conv": "branch1x1",
        "tower_conv": "branch3x3_1",
        "tower_mixed_conv": "branch3x3_2a",
        "tower_mixed_conv_1": "branch3x3_2b",
        "tower_1_conv": "branch3x3dbl_1",
        "tower_1_conv_1": "branch3x3dbl_2",
        "tower_1_mixed_conv": "branch3x3dbl_3a",
        "tower_1_mixed_conv_1": "branch3x3dbl_3b",
        "tower_2_conv": "branch_pool",
    }
    branch = last[path] if kind == "E" else branches[kind].get(tower, "branch_pool")
    return f"Mixed_{places[index]}.{branch}"


def _keep_last_layer(ours: dict[str, Tensor], weight: Tensor | None) -> None:
    """Keep [1008, 2048] unless it is missing or all zero (some files carry it so)."""
    if weight is None:
        return
    weight = weight.float() if weight.shape[-1] == FEATURES else weight.float().T
    if weight.abs().max() > 0:
        ours[LAST_LAYER] = weight.contiguous()
