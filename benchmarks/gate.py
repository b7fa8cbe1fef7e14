"""How often a gate promotes one of two equal models: a bare difference, and ours.

    python -m benchmarks.gate

Equal models are trainings of the paper's comparison that differ in their seed only
(docs/ablations-mnist.json). Each ordered pair of one setting is put before both gates; ours knows
the spread between trainings from the other settings alone. The second table makes a million pairs
of equal models with the spread that was found, and pairs in which the challenger really is better.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from statistics import mean

import numpy as np
import scipy

from pipeline.params.settings import PromoteConfig

TABLE = Path(__file__).resolve().parents[1] / "docs" / "ablations-mnist.json"
ALPHA = PromoteConfig.alpha


@dataclass(frozen=True)
class Promoted:
    """What both gates did: pairs of equal models and how many of them each promoted; and of models
    that are better by a share (the key, 0: equal) the share that each promotes."""

    pairs: int
    bare: int
    ours: int
    shares: dict[float, tuple[float, float]]


def logs() -> dict[str, list[float]]:
    """ln FID of each training, by setting."""
    found: dict[str, list[float]] = {}
    for one in json.loads(TABLE.read_text())["experiments"]:
        metrics = one["metrics"]
        fid = metrics.get("fid", metrics.get("fid_judge_3k"))  # its name until 2026-11-25
        if fid:
            found.setdefault(one["setting"], []).append(math.log(fid))
    several = {setting: values for setting, values in found.items() if len(values) > 1}
    if len(several) < 2:
        sys.exit(f"{TABLE}: of two settings at least two seeds are needed (`make ablations`)")
    return several


def pooled(groups: list[list[float]]) -> tuple[float, int]:
    """Standard deviation within groups, and its degrees of freedom."""
    squares = sum((value - mean(group)) ** 2 for group in groups for value in group)
    df = sum(len(group) - 1 for group in groups)
    return math.sqrt(squares / df), df


def main(count: int = 1_000_000) -> Promoted:
    """Prints both tables, the second one of `count` pairs a row; returns what they say."""
    found = logs()
    sd, df = pooled(list(found.values()))
    print(f"sd of ln FID between seeds: {sd:.3f}, {df} degrees of freedom, {len(found)} settings")
    pairs = bare = ours = 0
    for setting, values in found.items():
        others, known = pooled([v for name, v in found.items() if name != setting])
        needed = scipy.stats.t.ppf(1 - ALPHA, known) * math.sqrt(2) * others
        for champion, challenger in permutations(values, 2):
            pairs += 1
            bare += challenger < champion
            ours += champion - challenger > needed
    print(f"{pairs} ordered pairs of equal models: bare {bare} promoted, ours {ours}")
    print(f"{'challenger FID':>16}{'bare':>10}{'ours':>10}")
    rng, shares = np.random.default_rng(0), {}
    needed = scipy.stats.t.ppf(1 - ALPHA, df) * math.sqrt(2) * sd
    for better in (0.0, 0.2, 0.4, 0.6):
        true = -math.log(1 - better)
        seen = true + rng.normal(0, math.sqrt(2) * sd, count)
        shown = "equal" if not better else f"{better:.0%} lower"
        shares[better] = float((seen > 0).mean()), float((seen > needed).mean())
        print(f"{shown:>16}{shares[better][0]:10.1%}{shares[better][1]:10.1%}")
    return Promoted(pairs, bare, ours, shares)


if __name__ == "__main__":
    main()
