"""What changes with training progress: learning rates, the number of G steps."""

from __future__ import annotations

import math
from collections.abc import Sequence


def lr_factor(schedule: str, progress: float) -> float:
    """Multiplier of the learning rate.

    Args:
        schedule: 'constant'; 'linear' or 'cosine', both from 1 to 0.
        progress: share of the training done, in [0, 1].
    """
    if schedule == "linear":
        return 1.0 - progress
    if schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * progress))
    return 1.0


def one_cycle(progress: float, warmup: float = 0.25) -> float:
    """One-cycle factor (Smith 2018): linear from 0.04 to 1 in `warmup`, then cosine to 0."""
    if progress < warmup:
        return 0.04 + 0.96 * progress / warmup
    return lr_factor("cosine", (progress - warmup) / (1.0 - warmup))


def generator_steps(pairs: Sequence[tuple[float, int]], d_adversarial: float) -> int:
    """G steps after a D step whose two adversarial terms had the mean `d_adversarial`
    (LevelConfig.g_steps).

    The count of the first pair whose threshold is exceeded; the last pair's where none is.
    """
    for threshold, steps in pairs:
        if d_adversarial > threshold:
            return steps
    return pairs[-1][1]
