"""Real data of one step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class Batch:
    """Real data of one step.

    Attributes:
        hidden: h_i float [B, *h_i] by i, for every active level and, in independent training,
            for the level above it (h_N is the label and not in here).
        y: labels int64 [B].
    """

    hidden: dict[int, Tensor]
    y: Tensor
