"""The order in which an epoch visits the rows of a sharded data set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def epoch_order(shard_sizes: Sequence[int], window: int, seed: int, epoch: int) -> np.ndarray:
    """Row indices of one epoch: shards shuffled, then rows shuffled within groups of shards.

    A reader that holds `window` shards in memory can follow this order from a stream, and one
    that holds everything can gather by it: both see the same batches.

    Args:
        shard_sizes: rows in each shard; row indices run through the shards in this order.
        window: shards per group, >= 1. At or above the number of shards it is a full shuffle.
        seed, epoch: together fix the order.

    Returns:
        int64 [sum(shard_sizes)], a permutation.
    """
    rng = np.random.default_rng([seed, epoch])
    starts = np.concatenate([[0], np.cumsum(shard_sizes)])
    shards = rng.permutation(len(shard_sizes))
    groups = [shards[i : i + window] for i in range(0, len(shards), window)]
    rows = []
    for group in groups:
        indices = np.concatenate([np.arange(starts[s], starts[s + 1]) for s in group])
        rows.append(rng.permutation(indices))
    return np.concatenate(rows).astype(np.int64)
