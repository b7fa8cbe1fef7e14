"""What an evaluation is lent: caches, published weights, a voice, a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from pipeline.scores.inputs import Kept, Told, unheard

Weights = tuple[dict[str, Tensor], str]  # and where they come from


@dataclass(frozen=True)
class Means:
    """What an evaluation is lent. The weights' callables raise UserError where there are none.

    kept: arrays that depend on real images; judges: the weights of judges trained here.
    judge_weights: of a published judge by its kind; inception_weights: by path or address.
    """

    kept: Kept
    judges: Kept
    judge_weights: Callable[[str], Weights]
    lpips_weights: Callable[[], Weights]
    inception_weights: Callable[[str | None], Weights]
    told: Told = unheard
    device: str = "cpu"
    precision: str = "auto"  # of the training of judges
