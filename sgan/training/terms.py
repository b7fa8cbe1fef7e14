"""A step's loss terms: their sum over the levels, and a refusal of what is not finite."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor


class NonFiniteLoss(RuntimeError):
    """A loss became nan or infinite; nothing has been stepped with it."""

    def __init__(self, part: str, value: float) -> None:
        self.part, self.value = part, value
        super().__init__(f"{part} is {value}")


def total_loss(terms: Mapping[str, Tensor], name: str) -> Tensor:
    """The sum of `levelI/<name>` over the levels: what a phase minimises."""
    return torch.stack([v for key, v in terms.items() if key.endswith(f"/{name}")]).sum()


def require_finite(terms: Mapping[str, Tensor], name: str) -> None:
    """Raises NonFiniteLoss, with the first term that is not finite, where the total is not.

    Args:
        terms: their means over the ranks: one that raised alone would leave the others waiting.
        name: of the total, as in `total_loss`.
    """
    total = total_loss(terms, name).item()
    if not math.isfinite(total):
        bad = [(key, v.item()) for key, v in terms.items() if not torch.isfinite(v)]
        raise NonFiniteLoss(*(bad or [(name, total)])[0])
