"""Whether a stack is better than the one in use, by more than another seed would have made it.

Two trainings that differ in nothing but their seed differ in Fréchet distance, so a bare difference
promotes one of two equal models half of the time. The test here is one-sided, on ln FID (its spread
grows with it): with m samples' seeds each,

    t = ln(FID_champion / FID_challenger) / sqrt(2 s^2 + (sd_champion^2 + sd_challenger^2) / m)

where s is the standard deviation of ln FID between trainings (`promote.training_sd`, known with
`training_df` degrees of freedom), and sd that of ln FID between sampling seeds. The challenger is
better where t exceeds Student's quantile at 1 - alpha. Nothing else may have become worse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.params.settings import PromoteConfig
from pipeline.scores.headline import DIVERSITY, DIVERSITY_Z0, FID, GAN_TEST, Headline
from pipeline.scores.score import Score, distance, short

Outcome = Literal["promoted", "kept", "undecided"]
LEAST_SEEDS = 3
RECALL = Headline("recall", "recall")
# `neighbours` are recall's; FID, which is measured with it, says them too.
_SAME = (
    "judge_sha256",
    "n_fake",
    "n_real",
    "neighbours",
    "reference",
    "resize",
    "batch_norm",
    "evaluation",
)


@dataclass(frozen=True)
class Row:
    """One condition.

    Attributes:
        what: was looked at.
        sides: the champion's and the challenger's, as text.
        needed: in words.
        holds: whether the condition does; None where it could not be told.
    """

    what: str
    sides: tuple[str, str]
    needed: str
    holds: bool | None


@dataclass(frozen=True)
class Verdict:
    """All conditions, and what follows: promoted where all hold, undecided where one could not be
    told, else kept."""

    rows: tuple[Row, ...]

    @property
    def outcome(self) -> Outcome:
        """What becomes of the challenger."""
        if any(row.holds is None for row in self.rows):
            return "undecided"
        return "promoted" if all(row.holds for row in self.rows) else "kept"

    @property
    def why(self) -> str:
        """The conditions that do not hold, in a sentence; "" where all do."""
        told = [row.what for row in self.rows if not row.holds]
        return ", ".join(told)

    def with_rows(self, *rows: Row) -> Verdict:
        """The same with further conditions."""
        return Verdict((*self.rows, *rows))


def compare(champion: Sequence[Score], challenger: Sequence[Score], rule: PromoteConfig) -> Verdict:
    """The conditions on two evaluations' scores."""
    found = [one.find(champion) for one in (FID, GAN_TEST, RECALL, DIVERSITY, DIVERSITY_Z0)]
    others = [one.find(challenger) for one in (FID, GAN_TEST, RECALL, DIVERSITY, DIVERSITY_Z0)]
    rows = [same_protocol(found[0], others[0]), seeds(found[0], others[0])]
    rows.append(closer(found[0], others[0], rule))
    allowed = (rule.gan_test, rule.recall, rule.diversity, rule.diversity)
    for old, new, tolerance in zip(found[1:], others[1:], allowed, strict=True):
        rows.append(not_worse(old, new, tolerance))
    return Verdict(tuple(rows))


def alone(challenger: Sequence[Score]) -> Verdict:
    """The conditions where there is no champion yet: what is needed was measured."""
    wanted = (FID, GAN_TEST, RECALL, DIVERSITY, DIVERSITY_Z0)
    found = [one.find(challenger) for one in wanted]
    missing = [one.key for one, score in zip(wanted, found, strict=True) if score is None]
    shown = f"{', '.join(missing)} missing" if missing else "all there"
    return Verdict((Row("scores", ("no champion yet", shown), "measured", not missing),))


def protocol_of(score: Score | None) -> dict[str, str]:
    """What two evaluations have to share to be compared at all."""
    return {} if score is None else {name: str(score.protocol.get(name)) for name in _SAME}


def same_protocol(champion: Score | None, challenger: Score | None) -> Row:
    """Judge, numbers of images and neighbours, reference, batch norm and the evaluation's code are
    the same."""
    old, new = protocol_of(champion), protocol_of(challenger)
    differ = [name for name in _SAME if old.get(name) != new.get(name)]
    shown = [", ".join(f"{n} {one.get(n, '?')[:12]}" for n in differ) for one in (old, new)]
    holds = None if champion is None or challenger is None else not differ
    return Row("protocol", (shown[0] or "the same", shown[1] or "the same"), "the same", holds)


def seeds(champion: Score | None, challenger: Score | None) -> Row:
    """Sampling seeds enough to know their spread."""
    counts = [0 if one is None else one.repeats for one in (champion, challenger)]
    holds = None if min(counts) < LEAST_SEEDS else True
    return Row("seeds", (str(counts[0]), str(counts[1])), f"{LEAST_SEEDS} or more each", holds)


def closer(champion: Score | None, challenger: Score | None, rule: PromoteConfig) -> Row:
    """The module's test. Undecided where a distance was not measured or is not positive."""
    values = [None if one is None else one.value for one in (champion, challenger)]
    sides = _texts(champion, challenger)
    if champion is None or challenger is None or min(v or 0.0 for v in values) <= 0:
        return Row("fid", sides, "measured", None)
    t = statistic(champion, challenger, rule.training_sd)
    needed = quantile(rule)
    text = f"better beyond seed noise: t = {t:.2f}, needed {needed:.2f}"
    return Row("fid", sides, text, t > needed)


def statistic(champion: Score, challenger: Score, training_sd: float) -> float:
    """t of the module's text; positive where the challenger's distance is smaller."""
    assert champion.value and challenger.value
    variance = 2 * training_sd**2
    for one in (champion, challenger):
        assert one.value
        variance += ((one.sd or 0.0) / one.value) ** 2 / one.repeats
    return math.log(champion.value / challenger.value) / math.sqrt(variance)


def quantile(rule: PromoteConfig) -> float:
    """Student's at 1 - alpha: what t has to exceed."""
    from scipy.stats import t

    return float(t.ppf(1 - rule.alpha, rule.training_df))


def not_worse(champion: Score | None, challenger: Score | None, tolerance: float) -> Row:
    """A score has not moved away from where it should go by more than `tolerance`."""
    named = champion or challenger
    what = "a score" if named is None else named.key
    sides = _texts(champion, challenger)
    needed = f"not worse by more than {short(tolerance)}"
    if champion is None or challenger is None:
        return Row(what, sides, needed, None)
    return Row(what, sides, needed, distance(challenger) - distance(champion) <= tolerance)


def _texts(champion: Score | None, challenger: Score | None) -> tuple[str, str]:
    old, new = ("-" if one is None else one.text() for one in (champion, challenger))
    return old, new
