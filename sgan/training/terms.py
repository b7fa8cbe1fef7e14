"""A step's loss terms: their sum over the levels, and a refusal of what is not finite."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sgan.training.comm import Comm


class NonFiniteLoss(RuntimeError):
    """A loss became nan or infinite; nothing has been stepped with it."""

    def __init__(self, part: str, value: float) -> None:
        self.part, self.value = part, value
        super().__init__(f"{part} is {value}")


def total_loss(terms: dict[str, Tensor], name: str, comm: Comm | None = None) -> Tensor:
    """The sum of `levelI/<name>` over the levels. Raises NonFiniteLoss before any step.

    The ranks agree on it: one that raised alone would leave the others waiting for its gradients.
    """
    total = torch.stack([v for key, v in terms.items() if key.endswith(f"/{name}")]).sum()
    agreed = (comm or Comm()).average_number(total.item())
    if not math.isfinite(agreed):
        bad = [(key, v.item()) for key, v in terms.items() if not torch.isfinite(v)]
        raise NonFiniteLoss(*(bad or [(f"{name} on another worker", agreed)])[0])
    return total
