"""What the settings ask for: the judge, and the costly scores LPIPS, CAS and those on Inception."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import UserError
from pipeline.parts.progress import TrainingProgress
from pipeline.scores.feature_cache import cached_arrays
from pipeline.scores.indomain import RealImages, Samples
from pipeline.scores.judge import Judge, cached_judge
from pipeline.scores.judge_network import ARCHITECTURE
from pipeline.scores.score import Score, combine, not_measured
from pipeline.scores.similarity import Lpips, load_lpips
from pipeline.scores.standard import CHUNK, SAMPLES

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.params.settings import EvaluateConfig

_OURS, _REAL = "CAS", "CAS, real images"


def requested_judge(
    settings: EvaluateConfig,
    real: RealImages,
    folder: Path,
    *,
    device: str = "cpu",
    console: Console | None = None,
) -> Judge:
    """The independent classifier for this data: published, or trained on the first call and kept
    in `folder`. Raises UserError where a published one cannot be had."""
    if settings.judge != "cnn":
        from pipeline.scores.cifar10_judges import cifar10_judge

        return cifar10_judge(settings.judge, device=device)
    total = int(len(real.train_images) * settings.judge_epochs)
    with TrainingProgress({"judge": total}, console) as bar:
        return cached_judge(
            folder,
            real.train_images,
            real.train_labels,
            data_digest=real.digest,
            num_classes=len(real.classes),
            epochs=settings.judge_epochs,
            seed=settings.judge_seed,
            device=device,
            progress=lambda seen, _, loss: bar.update(
                "judge", min(seen, total), {"judge/loss": loss}
            ),
        )


def requested_lpips(
    settings: EvaluateConfig, device: str = "cpu"
) -> tuple[Lpips | None, list[Score]]:
    """LPIPS where `lpips` of the settings asks for it, or the row that says why it is not had."""
    if not settings.lpips:
        return None, []
    try:
        return load_lpips(device), []
    except UserError as error:
        name = f"Diversity within a class, all z varied ({Lpips.name}, ratio to real)"
        return None, [not_measured(name, "diversity_lpips", str(error))]


def requested_scores(
    samples: Sequence[Samples],
    real: RealImages,
    settings: EvaluateConfig,
    cache: Path,
    *,
    device: str = "cpu",
    console: Console | None = None,
) -> list[Score]:
    """What `cas` and `inception` of the settings ask for, each with a progress bar.

    Mean ± sd over the sample sets, which are of equal size. What depends on real images only is
    kept in the folder `cache`.
    """
    scores = []
    if settings.cas:
        scores.append(_cas(samples, real, settings, cache, device, console))
    if settings.inception:
        scores += _standard(samples, real, settings, cache, device, console)
    return scores


def _cas(
    samples: Sequence[Samples],
    real: RealImages,
    settings: EvaluateConfig,
    cache: Path,
    device: str,
    console: Console | None,
) -> Score:
    from pipeline.scores.labels import classification_accuracy_score, trained_accuracy

    count, epochs = len(samples[0].images), settings.cas_epochs
    held_out = (real.test_images, real.test_labels)
    rows = np.random.default_rng(0).permutation(len(real.train_images))[:count]
    total = int(count * epochs) * len(samples)
    with TrainingProgress({_REAL: total, _OURS: total}, console) as bars:
        meter = _Meter(bars)

        def ceiling() -> dict[str, np.ndarray]:
            found = [
                trained_accuracy(
                    real.train_images[rows],
                    real.train_labels[rows],
                    *held_out,
                    len(real.classes),
                    epochs=epochs,
                    seed=index,
                    device=device,
                    progress=meter.after(_REAL, index * total // len(samples)),
                )[0]
                for index in range(len(samples))
            ]
            return {"accuracy": np.array(found)}

        sizes = f"{len(real.train_images)}:{len(real.test_images)}:{count}"
        key = f"cas-1:{ARCHITECTURE}:{real.digest}:{sizes}:{epochs}:{len(samples)}"
        reached = cached_arrays(cache, key, ceiling)["accuracy"].tolist()
        found = [
            classification_accuracy_score(
                one.images,
                one.labels,
                *held_out,
                real.classes,
                ceiling=reached,
                epochs=epochs,
                seed=index,
                device=device,
                progress=meter.after(_OURS, index * total // len(samples)),
            )
            for index, one in enumerate(samples)
        ]
    return combine(found, seeds=[one.seed for one in samples])


def _standard(
    samples: Sequence[Samples],
    real: RealImages,
    settings: EvaluateConfig,
    cache: Path,
    device: str,
    console: Console | None,
) -> list[Score]:
    from pipeline.scores.standard import standard_scores

    count = len(samples[0].images)
    names = {split: f"Inception, {split}" for split in ("train", "test", SAMPLES)}
    sizes = (len(real.train_images), min(count, len(real.test_images)), count * len(samples))
    parts = dict(zip(names.values(), sizes, strict=True))
    with TrainingProgress(parts, console) as bars:
        meter = _Meter(bars)
        return standard_scores(
            samples,
            real,
            cache,
            weights=settings.inception_weights,
            device=device,
            neighbours=settings.neighbours,
            told=lambda what, done, _: meter.at(names[what], done),
        )


class _Meter:
    """Bars that are told how many images are done, and find the speed themselves."""

    def __init__(self, bars: TrainingProgress) -> None:
        self._bars = bars
        self._last: dict[str, tuple[float, int]] = {}

    def at(self, part: str, done: int) -> None:
        """`done` images of a part; a jump of a whole chunk came from the cache and has no speed."""
        now = time.monotonic()
        then, before = self._last.get(part, (now, done))
        self._last[part] = now, done
        timed = 0 < done - before < CHUNK and now > then
        speed = (done - before) / (now - then) if timed else 0.0
        self._bars.update(part, done, images_per_second=speed)

    def after(self, part: str, before: int) -> Callable[[int, int, float], None]:
        """What a judge's training may call: its images come after `before` others."""
        return lambda done, total, loss: self.at(part, before + done)
