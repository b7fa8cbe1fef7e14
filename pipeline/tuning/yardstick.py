"""What the trials of a search are measured by: the same conditions and noise for all of them.

A level above 0 is measured where it lives: the Fréchet distance between E's h_i and ĥ_i, given
h_{i+1} of the encoder (as `scores.levelwise` does for a trained stack, there on test images). Level
0 is the image, where E, which is in its loss, may not judge: its distance is that of the
independent judge's features, `scores.evaluation.judge_for`'s, whose weights are kept. Both are
against training images, in units of the real features' variance.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import UserError
from pipeline.scores.diversity import PER_CLASS, mean_pairwise_distance

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pipeline.params.settings import EvaluateConfig
    from pipeline.scores.inputs import Told
    from pipeline.scores.judge import Judge
    from pipeline.storage.backend import Backend
    from sgan.level import Level
    from sgan.metrics.frechet import Moments
    from sgan.training.adversarial import AdversarialTask

_GROUPS, _DRAWS = 20, 20  # conditions that diversity is taken at, and draws of z_i at each
_BATCH = 500
_LEAST = 8  # vectors that moments are worth taking of


@dataclass(frozen=True)
class Measured:
    """One look at a level.

    Attributes:
        frechet: the distance over tr(S_real); 0 is perfect, and real against real is the floor.
        diversity: mean distance between draws of z_i at one condition, over that between real h_i
            of a class; 0 is a level that ignores its noise. The top level's ideal is 1; below it
            the condition fixes a part of what varies within a class.
    """

    frechet: float
    diversity: float


@dataclass(frozen=True)
class Yardstick:
    """Fixed for a search, and small enough to travel.

    Attributes:
        level: i.
        cond: h_{i+1} float32 [N, …], or labels int64 [N] at the top.
        groups: the same for the conditions of the diversity, [G, …].
        spread: mean pairwise distance of real h_i of each group's class, [G].
        real: moments of real h_i, or of the judge's features of real images.
        floor: what `frechet` is for other real images.
        seed: of the noise.
        judge: of level 0's images, else None.
    """

    level: int
    cond: np.ndarray
    groups: np.ndarray
    spread: np.ndarray
    real: Moments
    floor: float
    seed: int
    judge: Judge | None

    def measure(self, level: Level) -> Measured:
        """Look at a level, on the device where it is. It is put into eval mode."""
        import torch

        from sgan.metrics.frechet import moments

        generator = torch.Generator().manual_seed(self.seed)
        level.eval()
        seen = torch.from_numpy(self._seen(level, self.cond, generator))
        if not torch.isfinite(seen).all():
            return Measured(float("inf"), 0.0)
        frechet = _distance(self.real, moments(seen))
        drawn = self._seen(level, self.groups.repeat(_DRAWS, axis=0), generator)
        within = [mean_pairwise_distance(group) for group in np.split(drawn, len(self.groups))]
        return Measured(frechet, float(np.mean(np.array(within) / self.spread)))

    def look(self, task: AdversarialTask) -> Measured:
        """Look at the level that a task trains, as its weights would be if it ended now.

        On a copy, so that the task stays as it is, random state included.
        """
        level = copy.deepcopy(task.stack.level(self.level))
        average = task.averages.get(str(self.level))
        if average is not None:
            for name, parameter in level.generator.named_parameters():
                parameter.data.copy_(average.weights[name])
            self._recompute_batch_norm(level)
        return self.measure(level)

    def _recompute_batch_norm(self, level: Level) -> None:
        """Statistics of averaged weights, as `AdversarialTask.finish` takes them, on `cond`."""
        import torch

        from sgan.training.batch_norm import SynchronisedBatchNorm, statistics_anew
        from sgan.training.comm import Comm

        for norm in level.generator.modules():
            if isinstance(norm, SynchronisedBatchNorm):
                norm.comm = Comm()  # the other workers are not asked
        level.train()
        with statistics_anew([level.generator]):
            self._made(level, self.cond, torch.Generator().manual_seed(self.seed + 1))

    def _seen(self, level: Level, cond: np.ndarray, generator: torch.Generator) -> np.ndarray:
        """What is measured of ĥ_i: itself, or the judge's features of it. float32 [N, F]."""
        import torch

        with torch.no_grad():
            made = self._made(level, cond, generator)
        if self.judge is None:
            flat: np.ndarray = made.flatten(1).numpy()
            return flat
        pixels = ((made + level.offset.cpu()) * 255).round().clamp(0, 255).to(torch.uint8)
        return self.judge.features(pixels.permute(0, 2, 3, 1).numpy())

    def _made(self, level: Level, cond: np.ndarray, generator: torch.Generator) -> Tensor:
        """ĥ_i [N, …] on the CPU; noise is drawn there, so that it is the same on any device."""
        import torch

        device, parts = level.offset.device, []
        for start in range(0, len(cond), _BATCH):
            rows = torch.from_numpy(cond[start : start + _BATCH]).to(device)
            z = torch.rand((len(rows), level.config.z_dim), generator=generator)
            parts.append(level.generate(rows, z.to(device)).float().cpu())
        return torch.cat(parts)


def yardstick(
    inputs: Mapping[str, str],
    _: Path,
    told: Told,
    *,
    level: int,
    levels: int,
    samples: int,
    seed: int,
    settings: EvaluateConfig,
    storage: str | Backend,
    device: str,
    precision: str,
    threads: int,
) -> Yardstick:
    """Make the yardstick of a search, wherever that is done (`pipeline.cluster.errand.Work`).

    Args:
        inputs: `features`; for level 0 `data` too, both splits.
        told: hears of the judge's training, where its weights are not kept yet.
        level, levels: i, and N.
        samples: conditions, and as many real h_i, at most what there is.
        seed: of which they are, and of the noise.
        settings: which judge looks at images.
        storage: where the judge is kept.
        device, precision, threads: of the judge's training.

    Raises:
        UserError: features or data are missing or damaged, or too few or all alike to measure by.
    """
    from sgan.metrics.frechet import moments

    y, cond, column = _columns(inputs["features"], level, levels)
    judge, real_h = None, column
    rows = np.random.default_rng([seed, level]).permutation(len(y))
    count = min(samples, len(y) // 2)
    if count < _LEAST:
        raise UserError(f"{len(y)} training images are too few to measure trials by")
    own, other = rows[:count], rows[-count:]
    if level == 0:
        judge, images = _judged(inputs["data"], told, settings, storage, device, precision, threads)

        def real_h(chosen: np.ndarray) -> np.ndarray:
            return judge.features(images[chosen])

    seen = real_h(own)
    real = moments(_tensor(seen))
    if not float(real.trace) > 0:
        raise UserError(f"level {level}: its real values do not vary, so nothing is measured by")
    spread = _spread(seen, y[own])
    picked = own[np.isin(y[own], list(spread))]
    groups = picked[: min(_GROUPS, len(picked))]
    if not len(groups):
        raise UserError(f"level {level}: no class has two images among {count}")
    return Yardstick(
        level,
        cond(own),
        cond(groups),
        np.array([spread[int(label)] for label in y[groups]]),
        real,
        _distance(real, moments(_tensor(real_h(other)))),
        seed,
        judge,
    )


def _columns(features: str, level: int, levels: int) -> tuple[np.ndarray, Any, Any]:
    """y int64, and what gives h_{i+1} (or labels) and h_i of some rows, h_i flat."""
    from pipeline.data.features import LABELS, column, read

    y = read(features, LABELS).numpy()

    def rows_of(name: str) -> Any:
        values = read(features, name).numpy()
        return lambda rows: np.ascontiguousarray(values[rows])

    cond = (lambda rows: y[rows].copy()) if level == levels - 1 else rows_of(column(level + 1))
    if level == 0:
        return y, cond, None
    own = rows_of(column(level))
    return y, cond, lambda rows: own(rows).reshape(len(rows), -1)


def _judged(
    data: str,
    told: Told,
    settings: EvaluateConfig,
    storage: str | Backend,
    device: str,
    precision: str,
    threads: int,
) -> tuple[Judge, np.ndarray]:
    """The judge of images, on the CPU, where trials will ask it, and the training images."""
    from dataclasses import replace

    import torch

    from pipeline.parts.device import device_of
    from pipeline.scores.evaluation import judge_for
    from pipeline.scores.means import means
    from pipeline.scores.prepared import real_images
    from pipeline.storage.store import Storage

    real = real_images(data)
    lent = means(Storage(storage), told, str(device_of(device)), precision, threads=threads)
    judge = judge_for(real, settings, lent)
    assert isinstance(judge.network, torch.nn.Module)
    judge.network.cpu()
    return replace(judge, device=torch.device("cpu")), real.train_images


def _spread(seen: np.ndarray, labels: np.ndarray) -> dict[int, float]:
    """Mean pairwise distance by class, of those that have two vectors that differ."""
    found = {}
    for label in np.unique(labels):
        distance = mean_pairwise_distance(seen[labels == label][:PER_CLASS])
        if distance > 0:
            found[int(label)] = distance
    return found


def _distance(real: Moments, seen: Moments) -> float:
    """As `sgan.metrics.frechet.level_distance`."""
    from sgan.metrics.frechet import frechet_distance

    return frechet_distance(real, seen) / float(real.trace)


def _tensor(values: np.ndarray) -> Tensor:
    import torch

    return torch.from_numpy(values)
