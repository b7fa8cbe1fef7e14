"""CAS: how well a classifier that was trained on samples alone reads real images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.scores.inputs import RealImages, Samples, Sets
from pipeline.scores.labels import classification_accuracy_score, trained_accuracy
from pipeline.scores.lent import Means
from pipeline.scores.score import Score, combine

if TYPE_CHECKING:
    from pipeline.params.settings import EvaluateConfig


def cas(
    samples: Sequence[Samples], real: RealImages, settings: EvaluateConfig, means: Means
) -> list[Score]:
    """CAS of the first `study_seeds` sets, beside what as many real training images reach; [] where
    it is not asked for or the samples have no labels."""
    if not settings.cas or samples[0].labels is None:
        return []
    samples = samples[: settings.study_seeds]
    sets = Sets.of(samples)
    reached = cas_ceiling(sets, real, settings, means)
    found = [
        classification_accuracy_score(
            one.images,
            one.labels,
            real.test_images,
            real.test_labels,
            real.classes,
            ceiling=reached,
            **_cas_training("CAS", index, sets, settings, means),
        )
        for index, one in enumerate(samples)
        if one.labels is not None
    ]
    return [combine(found, seeds=list(sets.seeds))]


def cas_ceiling(
    sets: Sets, real: RealImages, settings: EvaluateConfig, means: Means
) -> list[float]:
    """The accuracy that as many real training images as samples reach, for each set; kept."""
    count = sets.count
    rows = np.random.default_rng(0).permutation(len(real.train_images))[:count]

    def compute() -> dict[str, np.ndarray]:
        images, labels = real.train_images[rows], real.train_labels[rows]
        found = [
            trained_accuracy(
                images,
                labels,
                real.test_images,
                real.test_labels,
                len(real.classes),
                **_cas_training("CAS, real images", index, sets, settings, means),
            )[0]
            for index in range(len(sets.seeds))
        ]
        return {"accuracy": np.array(found)}

    recipe = f"{count}:{settings.cas_epochs}:{len(sets.seeds)}:{means.precision}"
    name = f"cas:{real.identity}:{len(real.classes)}:{recipe}"
    return means.kept(__name__, name, compute)["accuracy"].tolist()


def _cas_training(
    what: str, index: int, sets: Sets, settings: EvaluateConfig, means: Means
) -> dict[str, Any]:
    """How the classifier of the set `index` is trained."""

    def heard(done: int, each: int, loss: float) -> None:
        means.told(what, index * each + done, each * len(sets.seeds))

    place = {"device": means.device, "precision": means.precision}
    return {"epochs": settings.cas_epochs, "seed": index, "progress": heard, **place}
