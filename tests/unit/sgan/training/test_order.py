"""The order of an epoch: a permutation, shuffled in windows of shards, fixed by (seed, epoch)."""

import numpy as np
import pytest

from sgan.training.order import epoch_order
from sgan.training.seeds import mix

SHARDS = [7, 10, 10, 3, 10]


@pytest.mark.parametrize("window", [1, 2, 3, 5, 100])
def test_an_epoch_visits_every_row_once(window: int) -> None:
    order = epoch_order(SHARDS, window, seed=3, epoch=4)
    assert order.dtype == np.int64
    assert sorted(order) == list(range(40))


def test_seed_and_epoch_fix_the_order() -> None:
    first = epoch_order(SHARDS, 2, 1, 0)
    assert np.array_equal(first, epoch_order(SHARDS, 2, 1, 0))
    for seed, epoch in ((1, 1), (2, 0), (0, 1)):
        assert not np.array_equal(first, epoch_order(SHARDS, 2, seed, epoch))


@pytest.mark.parametrize("window", [1, 2, 3])
def test_rows_stay_within_their_group_of_shards(window: int) -> None:
    """A reader of a stream needs `window` shards in memory at once, and no more."""
    starts = np.cumsum([0, *SHARDS])
    shards = np.searchsorted(starts, epoch_order(SHARDS, window, 0, 0), side="right") - 1
    groups, position = [], 0
    while position < 40:
        members: set[int] = set()
        while position < 40 and len(members | {int(shards[position])}) <= window:
            members.add(int(shards[position]))
            position += 1
        groups.append(members)
    assert [len(g) for g in groups] == [window] * (5 // window) + (
        [5 % window] if 5 % window else []
    )
    assert sorted(s for g in groups for s in g) == [0, 1, 2, 3, 4]


def test_a_window_of_one_shuffles_within_shards_and_their_order() -> None:
    order = epoch_order([50, 50], 1, 2, 0)
    halves = [set(order[:50].tolist()), set(order[50:].tolist())]
    assert {frozenset(h) for h in halves} == {frozenset(range(50)), frozenset(range(50, 100))}
    assert list(order[:50]) != sorted(order[:50])
    first_shard = {int(epoch_order([50, 50], 1, 2, epoch)[0] >= 50) for epoch in range(12)}
    assert first_shard == {0, 1}


def test_a_full_window_mixes_all_shards() -> None:
    """Every epoch's first rows come from everywhere, without bias."""
    firsts = np.concatenate([epoch_order([100] * 10, 10, 0, e)[:50] for e in range(40)])
    counts = np.bincount(firsts // 100, minlength=10)
    assert counts.sum() == 2000
    assert counts.min() > 140 and counts.max() < 260  # 200 expected, σ = 13


def test_the_algorithm_is_the_documented_one() -> None:
    """Other readers (streams) follow the same recipe, so it may not change."""
    rng = np.random.default_rng([5, 2])
    shards = rng.permutation(3)
    rows = {0: [0, 1], 1: [2, 3, 4], 2: [5]}
    expected = []
    for group in (shards[:2], shards[2:]):
        expected += list(rng.permutation(np.concatenate([rows[s] for s in group])))
    assert epoch_order([2, 3, 1], 2, 5, 2).tolist() == expected


def test_mixed_seeds_are_63_bits_and_all_different() -> None:
    seeds = {mix(s, i, r) for s in range(4) for i in range(500) for r in range(4)}
    assert len(seeds) == 4 * 500 * 4
    assert all(0 <= s < 2**63 for s in seeds)


def test_mixed_seeds_of_neighbouring_steps_differ_in_half_their_bits() -> None:
    flips = [bin(mix(1, i, 0) ^ mix(1, i + 1, 0)).count("1") for i in range(500)]
    assert np.mean(flips) == pytest.approx(31.5, abs=1.0)
