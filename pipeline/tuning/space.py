"""The settings that a search tries: the present ones first, then draws from the space."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.params.sections import check
from pipeline.params.tuning import Space
from sgan.config import LevelConfig, to_dict

# Of a number drawn, where they keep it in its range: more would not be told apart, and do not fit
# on a line.
_DIGITS = 3
_TRIES = 100


@dataclass(frozen=True)
class Setting:
    """What one trial trains with.

    Attributes:
        changes: fields that differ from the present settings, JSON types; {} for trial 0.
        config: the level's settings.
    """

    changes: Mapping[str, Any]
    config: LevelConfig


def drawn(space: Space, start: LevelConfig, trials: int, seed: int) -> list[Setting]:
    """`trials` settings of a level, no two alike; fewer where the space has not so many.

    Setting n depends on (seed, n) and the space, so a longer search begins as a shorter one did.

    Args:
        space: a domain by field (`pipeline.params.tuning`).
        start: the present settings, which are the first.
        trials: how many.
        seed: of the draws.

    Raises:
        UserError: a draw that a level cannot have.
    """
    found = [Setting({}, start)]
    for number in range(1, _TRIES * trials):
        if len(found) == trials:
            break
        rng = np.random.default_rng([seed, number])
        values = {name: _value(name, domain, rng) for name, domain in space.items()}
        setting = _setting(start, values)
        if setting.config not in [one.config for one in found]:
            found.append(setting)
    return found


def _setting(start: LevelConfig, values: Mapping[str, Any]) -> Setting:
    config, problems = check(LevelConfig, {**to_dict(start), **values}, "tune.space")
    if config is None:
        raise UserError("\n".join(problems))
    before, after = to_dict(start), to_dict(config)
    return Setting({name: after[name] for name in values if after[name] != before[name]}, config)


def _value(name: str, domain: Mapping[str, Any], rng: np.random.Generator) -> Any:
    """One draw, by Ray Tune's domains. Whole numbers where the field is one."""
    from ray import tune

    ((kind, given),) = domain.items()
    if kind == "choice":
        return tune.choice(given).sample(random_state=rng)
    low, high = given
    if type(getattr(LevelConfig(), name)) is int:
        whole = tune.randint if kind == "uniform" else tune.lograndint
        return int(whole(int(low), int(high) + 1).sample(random_state=rng))
    real = tune.uniform if kind == "uniform" else tune.loguniform
    return _rounded(real(low, high).sample(random_state=rng), low, high)


def _rounded(drawn: float, low: float, high: float) -> float:
    """A number with as few digits, from `_DIGITS` on, as keep it between the bounds."""
    for digits in range(_DIGITS, sys.float_info.dig + 3):
        rounded = float(f"{drawn:.{digits}g}")
        if low <= rounded <= high:
            return rounded
    return float(min(max(drawn, low), high))
