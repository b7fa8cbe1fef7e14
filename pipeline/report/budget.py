"""What each input contributes to the image, y first and z_0 last: its entropy and its variance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.scores.score import Score


@dataclass(frozen=True)
class Contribution:
    """Of one input: y, z_{N-1}, …, z_0.

    bits: entropy that it brings to the image, at least; width: these as per cent of all inputs'.
    level_bits: those in its own ĥ_i, None where that is the image. share: of the image's variance.
    """

    name: str
    bits: float
    width: float
    level_bits: float | None = None
    share: float | None = None


def budget(scores: Sequence[Score]) -> list[Contribution]:
    """The rows in the order of the scores; [] where entropy was not measured."""
    found = {one.varies: max(0.0, one.value or 0.0) for one in _measured(scores, "entropy")}
    shares = {one.varies: one.value for one in _measured(scores, "variance")}
    levels = {f"z_{one.level}": one.value for one in _measured(scores, "entropy_level")}
    whole = sum(found.values()) or 1.0
    return [
        Contribution(name, bits, 100 * bits / whole, levels.get(name), shares.get(name))
        for name, bits in found.items()
    ]


def _measured(scores: Sequence[Score], metric: str) -> list[Score]:
    return [one for one in scores if one.metric == metric and one.value is not None]
