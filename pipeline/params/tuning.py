"""The section `tune`: how `sgan tune` searches a level's settings, and where."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.params.file import shown
from pipeline.params.sections import check, unknown_key
from sgan.config import ConfigError, EncoderConfig, LevelConfig

KINDS = ("image", "map", "vector")
DOMAINS = ("uniform", "loguniform", "choice")
# What may not differ between the trials of one search, and why.
FIXED = {
    "total_images": "it is the budget that trials are compared at",
    "seed": "the luckiest seed is no better setting",
    "precision": "it is the machine's",
    "workers": "it is where the level runs, in all trials alike",
    "batch_norm": "it is where the level runs, in all trials alike",
}
SEARCHED = tuple(
    name for name in (f.name for f in dataclasses.fields(LevelConfig)) if name not in FIXED
)
_ONE = "one of uniform: [low, high], loguniform: [low, high], choice: [value, …]"
_MOST_RUNGS = 8

Space = Mapping[str, Mapping[str, Any]]  # of one level: a domain, {"uniform": [0, 1]}, by field


def default_space() -> dict[str, dict[str, Any]]:
    """Where each kind of level is searched if params.yaml says nothing: around `conf/recipe/fast`,
    an order of magnitude for learning rates and λ's."""
    common: dict[str, Any] = {
        "lr_g": {"loguniform": [0.0001, 0.002]},
        "lr_d": {"loguniform": [0.0001, 0.002]},
        "lambda_cond": {"loguniform": [0.3, 3.0]},
        "lambda_ent": {"loguniform": [3.0, 60.0]},
        "z_gain": {"loguniform": [0.5, 4.0]},
    }
    return {
        "image": {**common, "instance_noise": {"uniform": [0.0, 0.1]}},
        "map": {**common, "z_dim": {"choice": [16, 50, 100]}},
        "vector": {**common, "z_dim": {"choice": [16, 50, 100]}},
    }


@dataclass(frozen=True)
class TuneConfig:
    """How a level's settings are searched. Decides no result of `dvc repro`, and is in no key."""

    trials: int = 16  # settings tried on a level, the present ones among them
    seed: int = 1  # of the settings drawn, and of the noise and images that trials are measured on
    samples: int = 2000  # ĥ_i that a Fréchet distance is taken on; the same for all trials
    measurements: int = 9  # in a training, evenly spread: at least one for each rung
    rungs: int = 2  # ASHA's decisions in a training, at 1/reduction^rungs, … 1/reduction of it
    reduction: int = 3  # ASHA's factor: at a rung, the best 1/reduction of those seen go on
    min_diversity: float = 0.3  # of a level; a trial below it has collapsed and cannot win
    # By a level's number, or else its kind: a domain by field, {lr_g: {loguniform: [1e-4, 1e-2]}}
    space: dict[str, dict[str, Any]] = field(default_factory=default_space)

    def __post_init__(self) -> None:
        for name, least in (("trials", 2), ("samples", 100), ("rungs", 1), ("reduction", 2)):
            if getattr(self, name) < least:
                raise ConfigError(name, getattr(self, name), f">= {least}")
        if not 0 <= self.seed < 2**31:
            raise ConfigError("seed", self.seed, "0 to 2147483647")
        if self.rungs > _MOST_RUNGS:
            raise ConfigError("rungs", self.rungs, f"<= {_MOST_RUNGS}")
        least = self.reduction**self.rungs
        if self.measurements < least:
            allowed = f">= reduction^rungs ({least}), so that there is one at the first rung"
            raise ConfigError("measurements", self.measurements, allowed)
        if self.min_diversity < 0:
            raise ConfigError("min_diversity", self.min_diversity, ">= 0")

    def space_of(self, level: int, encoder: EncoderConfig) -> tuple[str, Space]:
        """(its key, the space) of a level: by its number, else by its kind; {} where there is none.

        Args:
            level: i.
            encoder: says at which points the levels are cut.
        """
        key = str(level) if str(level) in self.space else kind_of(level, encoder)
        return key, self.space.get(key) or {}


def kind_of(level: int, encoder: EncoderConfig) -> str:
    """What h_i is, as conf/ calls it: the `image`, a feature `map`, or features in a `vector`."""
    if level == 0:
        return "image"
    return "vector" if encoder.cut[level - 1] == "fc" else "map"


def space_problems(config: TuneConfig, levels: int | None) -> list[str]:
    """A line per thing that is wrong with the space.

    Args:
        config: the section.
        levels: how many there are; None where that is not known.
    """
    problems = []
    numbers = [str(i) for i in range(levels if levels is not None else 10)]
    for name, fields in config.space.items():
        if name not in (*KINDS, *numbers):
            problems.append(unknown_key("tune.space.", name, (*KINDS, *numbers)))
            continue
        for setting, domain in fields.items():
            problems += _domain_problems(f"tune.space.{name}", setting, domain)
    return problems


def _domain_problems(path: str, name: str, domain: Any) -> list[str]:
    here = f"{path}.{name} = {shown(domain)}"
    if name in FIXED:
        return [f"{path}.{name}: may not be searched: {FIXED[name]}"]
    if name not in SEARCHED:
        return [unknown_key(f"{path}.", name, SEARCHED)]
    if not isinstance(domain, dict) or len(domain) != 1 or next(iter(domain)) not in DOMAINS:
        return [f"{here}: must be {_ONE}"]
    ((kind, values),) = domain.items()
    if not isinstance(values, list) or not values or (kind != "choice" and len(values) != 2):
        return [f"{here}: must be {_ONE}"]
    if kind != "choice":
        usable = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
        low = 0 if kind == "loguniform" else float("-inf")
        if not usable or not low < values[0] < values[1]:
            positive = "0 < " if kind == "loguniform" else ""
            return [f"{here}: must be two numbers with {positive}low < high"]
        if type(getattr(LevelConfig(), name)) not in (int, float):
            return [f"{here}: must be choice: [value, …], as {name} is no number"]
    found: list[str] = []
    for value in values:
        found += check(LevelConfig, {name: value}, path)[1]
    return list(dict.fromkeys(found))
