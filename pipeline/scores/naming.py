"""What each metric is called, which way is better, and its unit: one row each.

A score's name (for people) and key (for metric files) are made here from its fields, so that nobody
has to read the fields back out of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.scores.score import Better, Score, thousands

ALL_Z = "all z"
PLACES = {
    "pixels": "pixels",
    "features": "{judge} features",
    "ssim": "1 - SSIM",
    "lpips": "{judge}",
}


@dataclass(frozen=True)
class Metric:
    """title and key are templates over a score's fields, its protocol, and what `_words` adds."""

    title: str
    key: str
    better: Better
    unit: str


METRICS = {
    "gan_test": Metric("GAN-test ({judge})", "gan_test", "higher", "share of samples"),
    "is": Metric("IS ({judge}, {count})", "is{slug}_{count}", "higher", "classes"),
    "fid": Metric("FID ({judge}, {count})", "fid{slug}_{count}", "lower", "squared feature units"),
    "kid": Metric("KID ({judge}, {count})", "kid{slug}_{count}", "lower", "squared MMD"),
    "precision": Metric(
        "Precision ({judge}, {count})", "precision{slug}_{count}", "near real", "share of samples"
    ),
    "recall": Metric(
        "Recall ({judge}, {count})", "recall{slug}_{count}", "higher", "share of real images"
    ),
    "density": Metric(
        "Density ({judge}, {count})", "density{slug}_{count}", "near real", "balls a sample"
    ),
    "coverage": Metric(
        "Coverage ({judge}, {count})", "coverage{slug}_{count}", "higher", "share of real images"
    ),
    "fid_within_classes": Metric(
        "FID within a class, mean ({judge}, about {count} each)",
        "fid_within_classes{slug}",
        "lower",
        "squared feature units",
    ),
    "ndb": Metric(
        "NDB/K ({bins} bins in pixels, {count})", "ndb_pixels_{count}", "lower", "share of bins"
    ),
    "cas": Metric("CAS (judge CNN trained on samples)", "cas", "higher", "share of real images"),
    "diversity": Metric(
        "Diversity within a class, {varies} varied ({place}, ratio to real)",
        "diversity{varied}_{space}",
        "near real",
        "ratio to real images",
    ),
    "nearest_ratio": Metric(
        "Nearest training image, samples over test images ({place})",
        "nearest_ratio_{space}",
        "near real",
        "ratio to real images",
    ),
    "copies": Metric(
        "Share nearer to a training image than 1 % of test images are ({place})",
        "copies_{space}",
        "lower",
        "share of samples",
    ),
    "memorisation_gap": Metric(
        "Memorisation gap: nearer to training than to unseen images ({place})",
        "memorisation_gap_{space}",
        "near real",
        "share of the distance",
    ),
    "frechet": Metric(
        "Fréchet distance of ĥ_{level} to h_{level} ({where}{given})",
        "level{level}/frechet_{given}",
        "lower",
        "the real features' variance",
    ),
    "q_explained": Metric(
        "Q_{level}'s recovery of z_{level}: explained variance ({given})",
        "level{level}/q_explained_{given}",
        "higher",
        "share of variance",
    ),
    "cond_nats": Metric(
        "Conditional term at level {level}: cross-entropy of y in nats ({given})",
        "level{level}/cond_{given}",
        "lower",
        "nats",
    ),
    "cond_explained": Metric(
        "Conditional term at level {level}: explained variance of h_{above} ({given})",
        "level{level}/cond_{given}",
        "higher",
        "share of variance",
    ),
    "variance": Metric(
        "Share of the image's variance from {varies}",
        "variance{varied}",
        "near real",
        "share of variance",
    ),
    "entropy": Metric(
        "Entropy that {varies} brings to the image, at least (bits)",
        "entropy{varied}",
        "higher",
        "bits",
    ),
    "entropy_level": Metric(
        "Entropy that z_{level} brings to ĥ_{level}, at least (bits)",
        "level{level}/entropy",
        "higher",
        "bits",
    ),
}


def scored(metric: str, value: float | None, *, slug: str = "", **fields: Any) -> Score:
    """A Score of a metric of the table, named from its fields.

    Args:
        metric: a key of METRICS.
        value: None where it was not measured; then `why` is needed.
        slug: how keys call the judge, "judge"; "" for the Inception trunk, whose keys are bare.
        fields: the others of Score.
    """
    named = METRICS[metric]
    words = _words(slug, **fields)
    return Score(
        named.title.format_map(words),
        named.key.format_map(words),
        value,
        better=named.better,
        metric=metric,
        unit=named.unit,
        **fields,
    )


def not_measured(metric: str, why: str, **fields: Any) -> Score:
    """A row that reads "not measured: why"; nothing else stops."""
    return scored(metric, None, why=why, **fields)


def _words(
    slug: str,
    judge: str | None = None,
    n: int | None = None,
    level: int | None = None,
    space: str = "",
    varies: str = "",
    given: str = "",
    protocol: Mapping[str, Any] | None = None,
    **_: Any,
) -> dict[str, Any]:
    return {
        **(protocol or {}),
        "judge": judge,
        "slug": f"_{slug}" if slug else "",
        "count": "" if n is None else thousands(n),
        "level": level,
        "above": None if level is None else level + 1,
        "space": space,
        "place": PLACES.get(space, "").format(judge=judge),
        "where": f"{judge}, " if space else "",
        "varies": varies,
        "varied": "" if varies in ("", ALL_Z) else f"_{varies.replace('_', '')}",
        "given": given,
    }
