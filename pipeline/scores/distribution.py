"""FID, KID, precision, recall, density and coverage on features computed once, for any judge."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from pipeline.errors import UserError
from pipeline.scores.extractor import Extractor
from pipeline.scores.naming import not_measured, scored
from pipeline.scores.neighbours import prdc
from pipeline.scores.score import Score
from sgan.metrics.frechet import frechet_distance, moments

FIGURES = ("fid", "kid", "precision", "recall", "density", "coverage")


def fid(fake: np.ndarray, real: np.ndarray) -> float:
    """Fréchet distance of features [M, F] and [N, F]. Biased upwards in M and N: name them."""
    return frechet_distance(moments(torch.from_numpy(real)), moments(torch.from_numpy(fake)))


def kid(
    fake: np.ndarray, real: np.ndarray, *, subsets: int = 100, size: int = 1000, seed: int = 0
) -> float:
    """Kernel Inception distance (Bińkowski et al. 2018, arXiv 1801.01401), by torchmetrics.

    Mean over `subsets` of min(size, M, N) features each. Unbiased, so it may be below 0.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(size, len(fake), len(real))
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", "Metric `Kernel Inception Distance`")
        torch.manual_seed(seed)
        metric = KernelInceptionDistance(
            feature=torch.nn.Identity(), subsets=subsets, subset_size=size
        )
        metric.update(torch.from_numpy(real), real=True)
        metric.update(torch.from_numpy(fake), real=False)
        return float(metric.compute()[0])


def compare(
    fake: np.ndarray, real: np.ndarray, *, neighbours: int = 5, seed: int = 0
) -> dict[str, float]:
    """All six figures of fake [M, F] against real [N, F]; the keys are FIGURES.

    The same code serves samples and, for floor and ceiling, held-out real images.
    """
    found = prdc(real, fake, neighbours)
    return {
        "fid": fid(fake, real),
        "kid": kid(fake, real, seed=seed),
        "precision": found.precision,
        "recall": found.recall,
        "density": found.density,
        "coverage": found.coverage,
    }


def tried(fake: np.ndarray, real: np.ndarray, neighbours: int) -> dict[str, float | str]:
    """`compare` as far as there are images for it: each figure's value, or why it has none."""
    least = min(len(fake), len(real))
    if least < 2:
        return dict.fromkeys(FIGURES, f"{least} image; it takes two or more")
    if least > neighbours:
        found: dict[str, float | str] = dict(compare(fake, real, neighbours=neighbours))
    else:
        why = f"{neighbours} neighbours need more than {neighbours} images, and there are {least}"
        found = {"fid": fid(fake, real), "kid": kid(fake, real), **dict.fromkeys(FIGURES[2:], why)}
    unsound = "it is not finite on so few images"
    return {
        k: unsound if isinstance(v, float) and not np.isfinite(v) else v for k, v in found.items()
    }


def fid_within_classes(
    fake: np.ndarray,
    fake_labels: np.ndarray,
    real: np.ndarray,
    real_labels: np.ndarray,
    classes: tuple[str, ...],
) -> dict[str, float]:
    """FID class by class, for classes with two images or more in both sets.

    Raises UserError where no class has them.
    """
    found = {}
    for index, name in enumerate(classes):
        ours, theirs = fake[fake_labels == index], real[real_labels == index]
        if min(len(ours), len(theirs)) > 1:
            found[name] = fid(ours, theirs)
    if not found:
        raise UserError("FID within classes: no class has two samples and two real images")
    return found


def as_scores(
    values: Mapping[str, float | str],
    extractor: Extractor,
    *,
    n_fake: int,
    n_real: int,
    **protocol: Any,
) -> list[Score]:
    """Figures of `compare` or `tried` as scores, named by their judge and N.

    Scores of the Inception trunk have no judge in their key: fid_10k.
    """
    facts = {**extractor.protocol(), "n_fake": n_fake, "n_real": n_real, **protocol}
    by: dict[str, Any] = {"slug": extractor.slug, "judge": extractor.name, "n": n_fake}
    return [
        not_measured(key, value, **by, protocol=dict(facts))
        if isinstance(value, str)
        else scored(key, value, **by, protocol=dict(facts))
        for key, value in values.items()
    ]
