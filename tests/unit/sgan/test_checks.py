"""A setting that cannot be names its field, its value and what is allowed."""

import math
from dataclasses import dataclass

import pytest

from sgan.checks import (
    ConfigError,
    alternatives,
    require,
    require_g_steps,
    require_number,
    require_workers,
)


@dataclass
class Some:
    rate: float = 0.5
    workers: int = 3
    g_steps: tuple[tuple[float, int], ...] = ()


def test_alternatives_in_words() -> None:
    assert alternatives(["a"]) == "a"
    assert alternatives(["a", "b", "c"]) == "a, b or c"


def test_a_condition_that_does_not_hold_is_told_with_its_field() -> None:
    require(Some(), "rate", True, "anything")
    with pytest.raises(ConfigError, match=r"^rate = 0\.5: must be 1$") as caught:
        require(Some(), "rate", False, "1")
    assert (caught.value.field_name, caught.value.value, caught.value.allowed) == ("rate", 0.5, "1")


@pytest.mark.parametrize("value", [-1.0, 1.5, math.nan, math.inf])
def test_a_number_outside_its_range(value: float) -> None:
    require_number(Some(), "rate workers", 0)
    with pytest.raises(ConfigError, match="must be >= 0 and <= 1"):
        require_number(Some(rate=value), "rate", 0, 1)


def test_a_range_without_its_lower_end() -> None:
    with pytest.raises(ConfigError, match=r"must be > 0$"):
        require_number(Some(rate=0.0), "rate", 0, open_low=True)


@pytest.mark.parametrize(
    "pairs", [(), ((0.5, 1),), ((0.0, 1), (0.5, 1)), ((0.0, 0),), ((0.0, 101),)]
)
def test_pairs_of_g_steps_that_leave_a_loss_without_steps(
    pairs: tuple[tuple[float, int], ...],
) -> None:
    require_g_steps(Some(), ((0.5, 2), (0.0, 1)))
    with pytest.raises(ConfigError, match="falling thresholds down to 0"):
        require_g_steps(Some(g_steps=pairs), pairs)


@pytest.mark.parametrize(
    ("workers", "batch_size", "least"), [(3, 100, 1), (4, 4, 2), (200, 100, 1)]
)
def test_workers_whose_shares_are_unequal_or_too_small(
    workers: int, batch_size: int, least: int
) -> None:
    require_workers(Some(), 2, 4, least=2)
    require_workers(Some(), 1, 1, least=2)  # alone: whatever the batch holds
    with pytest.raises(ConfigError, match=rf"a divisor of batch_size \({batch_size}\)"):
        require_workers(Some(workers=workers), workers, batch_size, least)
    with pytest.raises(ConfigError, match=">= 1"):
        require_workers(Some(workers=0), 0, 4)
