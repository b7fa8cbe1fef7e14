"""What the A/B benchmarks share: train on a project's data, judge a stack as `evaluate` does."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline import paths
from pipeline.data.batches import batches
from pipeline.data.features import columns_of
from pipeline.execution.stage import Stage
from pipeline.memory import keep_freed
from pipeline.scores.asked import asked
from pipeline.scores.evaluation import draw, judge_for
from pipeline.scores.headline import DIVERSITY, FID, GAN_TEST, Headline
from pipeline.scores.indomain import in_domain
from pipeline.scores.inputs import RealImages
from pipeline.scores.judge import Judge
from pipeline.scores.lent import Means
from pipeline.scores.levelwise import noise_diversity
from pipeline.scores.means import means
from pipeline.scores.prepared import real_images
from sgan.stack import Stack
from sgan.training.adversarial import AdversarialTask
from sgan.training.loop import Hooks, train

SHOWN = ("fid_judge", "gan_test", "diversity_pixels", "diversity_own_z", "seconds")


def fit(stage: Stage, task: AdversarialTask) -> float:
    """Train it on the project's images and features; returns the seconds that it took."""
    keep_freed()
    upper, y = columns_of(stage.path(paths.FEATURES_FILE), task.hidden_needed)
    data, here = str(stage.path(paths.DATA)), torch.device("cpu")
    in_order = batches(task, data, upper, y, device=here, resident_bytes=2**31)
    began = time.monotonic()
    train(task, in_order, Hooks(report_every=100))
    return time.monotonic() - began


@dataclass(frozen=True)
class Bench:
    """A project's real images and judge.

    count: samples that a stack is judged by.
    """

    real: RealImages
    judge: Judge
    lent: Means
    count: int

    @classmethod
    def of(cls, stage: Stage, count: int) -> Bench:
        """The project's. Raises UserError as `evaluation.judge_for`."""
        real, lent = real_images(stage.path(paths.DATA)), means(stage.storage(), threads=1)
        return cls(real, judge_for(real, stage.params.evaluate, lent), lent, count)

    def values(self, stack: Stack, seed: int, level: int = 0) -> dict[str, float]:
        """The first of SHOWN for a stack's samples; `own_z`: diversity where z_level alone varies.

        Args:
            seed: of the samples.
        """
        y = asked(self.real.frequencies, 0, self.count)
        found = in_domain([draw(stack, y, seed)], self.real, self.judge, self.lent.kept)
        assert found.real_diversity is not None
        scores = [*found.scores, *noise_diversity(stack, self.judge, found.real_diversity)]
        own_z = Headline("", "diversity", space="pixels", varies=f"z_{level}")
        shown = {"fid_judge": FID, "gan_test": GAN_TEST, "diversity_pixels": DIVERSITY}
        values = {name: one.value(scores) for name, one in shown.items()}
        return {**values, "diversity_own_z": own_z.value(scores)}


def rows(path: Path, wanted: dict[str, int]) -> list[dict[str, Any]]:
    """The runs of the same sizes that a file of JSON lines holds; [] where there is none."""
    if not path.exists():
        return []
    found = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    return [row for row in found if wanted.items() <= row.items()]


def append(path: Path, row: dict[str, Any]) -> None:
    """One more run, a line of JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def by_variant(found: Sequence[dict[str, Any]]) -> dict[str, dict[int, dict[str, float]]]:
    """The values of runs by their variant and seed."""
    runs: dict[str, dict[int, dict[str, float]]] = {}
    for row in found:
        runs.setdefault(row["variant"], {})[row["seed"]] = row["values"]
    return runs


def spread(values: Sequence[float], sign: str = "") -> str:
    """mean ± sd, for a table; `sign` "+" shows the mean's."""
    sd = np.std(values, ddof=1) if len(values) > 1 else 0.0
    return f"{np.mean(values):{sign}.3f} ± {sd:.3f}"
