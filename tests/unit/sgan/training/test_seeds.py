"""One seed of three numbers: the same everywhere and for ever, and unlike its neighbours'."""

import itertools

import pytest
import torch

from sgan.training.seeds import mix


def test_seeds_are_those_of_earlier_versions() -> None:
    """Resuming a training that an older version began needs the very same numbers."""
    assert [mix(0, 0, 0), mix(1, 2, 3), mix(2**40, 10**9, 7)] == [
        0,
        6707583596531037377,
        8199534293196126742,
    ]


def test_no_two_neighbours_share_a_seed() -> None:
    assert len({mix(*numbers) for numbers in itertools.product(range(12), repeat=3)}) == 12**3


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_change_of_one_in_any_number_flips_about_half_the_bits(place: int) -> None:
    here, there = [5, 5, 5], [5, 5, 5]
    there[place] += 1
    assert 15 <= (mix(*here) ^ mix(*there)).bit_count() <= 48


def test_seeds_fit_torch() -> None:
    for numbers in ((0, 0, 0), (2**63, 2**63, 2**63), (-1, 0, 0)):
        seed = mix(*numbers)
        assert 0 <= seed < 2**63
        torch.Generator().manual_seed(seed)


def test_successive_steps_draw_unrelated_numbers() -> None:
    rows = [
        torch.rand(2000, generator=torch.Generator().manual_seed(mix(1, step, 0)))
        for step in range(8)
    ]
    correlation = torch.corrcoef(torch.stack(rows)) - torch.eye(8)
    assert correlation.abs().max() < 0.1  # 1 / sqrt(2000) is 0.022
