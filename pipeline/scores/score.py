"""A score with its protocol, its spread, and the same metric for real images against real."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import mean, stdev
from typing import Any, Literal

import numpy as np

from pipeline.errors import UserError

Better = Literal["lower", "higher", "near real"]


@dataclass(frozen=True)
class Score:
    """One number that says how it was measured. `pipeline.scores.naming.scored` makes it.

    name: with its judge and N, "FID (judge CNN, 10k)"; key: for metric files, "fid_judge_10k".
    value: None when not measured, and then `why` says why. sd: over `repeats` seeds or draws.
    real, real_sd: the same metric by the same code for real train against real test images: the
    floor of a distance, the ceiling of an accuracy. per_class: class name -> value.
    protocol: weights' digest, resize filter, reference split, N real, N fake, seeds, …

    What it is, for programs (files of an older version have none of these):
    metric: "fid". judge: the name of what judged, None where pixels are compared as they are.
    n: samples that it was taken on (of each class, where it is taken within classes). unit: of
    the value. level: i, where it is of one level; given: what its G_i was given, "independent" or
    "joint". space: where distances are taken, "pixels". varies: inputs that vary, "z_0", "all z".
    """

    name: str
    key: str
    value: float | None
    sd: float | None = None
    repeats: int = 1
    real: float | None = None
    real_sd: float | None = None
    better: Better = "higher"
    per_class: Mapping[str, float] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""
    metric: str = ""
    judge: str | None = None
    n: int | None = None
    unit: str = ""
    level: int | None = None
    given: str = ""
    space: str = ""
    varies: str = ""

    def __post_init__(self) -> None:
        if self.value is None and not self.why:
            raise ValueError(f"score {self.name}: a score that is not measured must say why")

    def text(self) -> str:
        """For a person: "3.14 ± 0.02 (real: 1.10)", or "not measured: <why>"."""
        if self.value is None:
            return f"not measured: {self.why}"
        spread = f" ± {short(self.sd)}" if self.sd is not None else ""
        real = f" (real: {short(self.real)})" if self.real is not None else ""
        return f"{short(self.value)}{spread}{real}"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types; `from_dict` reads it back."""
        return {**asdict(self), "per_class": dict(self.per_class), "protocol": dict(self.protocol)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Score:
        """Raises UserError where a field is unknown or missing (a file of another version)."""
        try:
            return cls(**values)
        except TypeError as error:
            raise UserError(
                f"stored score {values.get('name')!r}: {error}; evaluate anew"
            ) from None

    def with_protocol(self, **facts: Any) -> Score:
        """A copy whose protocol also says e.g. ema=True, batch_norm="running statistics"."""
        return replace(self, protocol={**self.protocol, **facts})


def combine(scores: Sequence[Score], **protocol: Any) -> Score:
    """Mean ± sd (n - 1) over the same metric measured on sample sets of several seeds.

    Of each class the mean over the sets that have it; `classes_not_in_every_set` of the protocol
    names those that some lack. One score is returned as it is. Raises ValueError where names differ
    or nothing is handed in.
    """
    if not scores or len({score.name for score in scores}) != 1:
        raise ValueError(f"cannot combine {[score.name for score in scores]}")
    first = scores[0]
    values = [score.value for score in scores if score.value is not None]
    if len(scores) == 1 or len(values) < len(scores):
        return first.with_protocol(**protocol)
    found: dict[str, list[float]] = {}
    for name, each in (item for score in scores for item in score.per_class.items()):
        found.setdefault(name, []).append(each)
    lacking = [name for name, each in found.items() if len(each) < len(scores)]
    if lacking:
        protocol["classes_not_in_every_set"] = lacking
    value, sd = mean_sd(values)
    return replace(
        first,
        value=value,
        sd=sd,
        repeats=len(scores),
        per_class={name: float(np.mean(each)) for name, each in found.items()},
        protocol={**first.protocol, **protocol},
    )


def mean_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1); the latter is None for a single value."""
    exact = [float(value) for value in values]
    return mean(exact), stdev(exact) if len(exact) > 1 else None


def distance(score: Score) -> float:
    """How far a score is from where it should go: smaller is better."""
    value = score.value or 0.0
    if score.better == "near real":
        return abs(value - (1.0 if score.real is None else score.real))
    return value if score.better == "lower" else -value


def within_spread(a: Score, b: Score) -> bool:
    """Whether two values differ by no more than twice sqrt(sd_a^2 + sd_b^2); True without sds."""
    if a.value is None or b.value is None or (a.sd is None and b.sd is None):
        return True
    return abs(a.value - b.value) <= 2 * math.hypot(a.sd or 0.0, b.sd or 0.0)


# What a protocol says of the samples and of what was found; all else is how it was measured.
_NOT_HOW = {"seeds", "seed", "batch_norm", "ema", "source", "weights", "reached_by_copies"}
_NOT_HOW |= {"gan_test", "gan_test_judge_sha256", "classifier_sha256"}
INCOMPARABLE = ("another judge", "measured otherwise")


def incomparable(first: Score, other: Score) -> str:
    """Why two scores may not be compared: another judge, or another protocol; "" where they may."""
    a, b = first.protocol, other.protocol
    if a.get("judge_sha256") != b.get("judge_sha256"):
        return INCOMPARABLE[0]
    known = (a.keys() & b.keys()) - _NOT_HOW  # an older file may say less
    return INCOMPARABLE[1] if any(a[key] != b[key] for key in known) else ""


def verdict(first: Score, other: Score) -> str:
    """What the difference from `first` to `other` is worth: better, worse, ≈ within the spread
    (twice the joint sd), ? where there is no spread to tell by, or why it is none
    (`INCOMPARABLE`)."""
    if first.value is None or other.value is None:
        return ""
    if reason := incomparable(first, other):
        return reason
    if first.sd is None and other.sd is None:
        return "?"
    if within_spread(first, other):
        return "≈"
    return "better" if distance(other) < distance(first) else "worse"


def metrics(scores: Sequence[Score]) -> dict[str, float]:
    """Flat metrics for `dvc metrics`: key, key_sd, key_real; unmeasured scores are left out.

    Raises ValueError when two scores share a key, or a value is not finite.
    """
    flat: dict[str, float] = {}
    for score in scores:
        parts = {"": score.value, "_sd": score.sd, "_real": score.real}
        for suffix, value in parts.items():
            if score.value is None or value is None:
                continue
            if score.key + suffix in flat or not math.isfinite(value):
                raise ValueError(f"metric {score.key + suffix}: duplicate or not finite ({value})")
            flat[score.key + suffix] = float(value)
    return flat


def thousands(count: int) -> str:
    """10000 -> "10k", 2500 -> "2.5k", 300 -> "300": how N reads in a score's name."""
    return f"{count / 1000:g}k" if count >= 1000 and count % 100 == 0 else str(count)


def short(value: float | None) -> str:
    """Three decimals below ten (three digits below 0.1), two below 100, else one; "-" for None."""
    if value is None:
        return "-"
    size = abs(value)
    if size >= 100:
        return f"{value:.1f}"
    if size >= 10:
        return f"{value:.2f}"
    return f"{value:.3f}" if size >= 0.1 or size == 0 else f"{value:.3g}"
