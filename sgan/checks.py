"""What settings are checked by: each error names the field, its value and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable


class ConfigError(ValueError):
    """A setting that cannot be: names the field, the value and what is allowed."""

    def __init__(self, field_name: str, value: object, allowed: str) -> None:
        self.field_name, self.value, self.allowed = field_name, value, allowed
        super().__init__(f"{field_name} = {value!r}: must be {allowed}")


def alternatives(parts: Iterable[str]) -> str:
    """`a, b or c`."""
    *first, last = parts
    return f"{', '.join(first)} or {last}" if first else last


def require(config: object, name: str, ok: bool, allowed: str) -> None:
    """Raises ConfigError for the field `name` of `config` unless `ok`."""
    if not ok:
        raise ConfigError(name, getattr(config, name), allowed)


def require_number(
    config: object, names: str, low: float, high: float = math.inf, *, open_low: bool = False
) -> None:
    """Each field in `names` (space-separated) is finite and in [low, high] (or (low, high])."""
    allowed = f"{'>' if open_low else '>='} {low:g}" + (
        f" and <= {high:g}" if math.isfinite(high) else ""
    )
    for name in names.split():
        value = getattr(config, name)
        inside = (value > low if open_low else value >= low) and value <= high
        require(config, name, math.isfinite(value) and inside, allowed)


def require_g_steps(config: object, pairs: tuple[tuple[float, int], ...]) -> None:
    """`g_steps` ends at threshold 0, so that every loss has its number of steps."""
    thresholds = [t for t, _ in pairs]
    ok = bool(pairs) and thresholds == sorted(thresholds, reverse=True)
    ok = ok and thresholds[-1] == 0 and all(1 <= n <= 100 for _, n in pairs)
    rule = "pairs [threshold, steps] with falling thresholds down to 0 and 1 to 100 steps"
    require(config, "g_steps", ok, rule)


def require_workers(config: object, workers: int, batch_size: int, least: int = 1) -> None:
    """`workers` take equal shares of a batch, of `least` images or more."""
    require_number(config, "workers", 1)
    if workers > 1:
        require(
            config,
            "workers",
            batch_size % workers == 0 and batch_size // workers >= least,
            f"a divisor of batch_size ({batch_size}) that leaves each worker {least} or more "
            "of its images",
        )
