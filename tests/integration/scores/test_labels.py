"""CAS on digits and on collapse."""

import numpy as np
import pytest

from pipeline.scores.inputs import RealImages
from pipeline.scores.labels import (
    classification_accuracy_score,
)
from pipeline.scores.score import Score

pytestmark = pytest.mark.integration


def test_cas_tells_usable_samples_from_collapse(real: RealImages) -> None:
    train, test = real.train_images[:600, ::2, ::2], real.test_images[:, ::2, ::2]  # 14 pixels

    def cas(images: np.ndarray) -> Score:
        return classification_accuracy_score(
            images,
            real.train_labels[:600],
            test,
            real.test_labels,
            real.classes,
            ceiling=(0.9, 0.8),
            epochs=2,
            batch_norm="running",
        )

    first = np.array([np.flatnonzero(real.train_labels == k)[0] for k in range(10)])
    good = cas(train)
    collapsed = cas(train[first[real.train_labels[:600]]])
    assert good.value is not None and collapsed.value is not None and good.value > 0.6
    assert good.real == pytest.approx(0.85) and good.real_sd == pytest.approx(0.0707, abs=1e-3)
    assert good.protocol["batch_norm"] == "running"
    assert len(good.protocol["classifier_sha256"]) == 64
    assert collapsed.value < good.value - 0.15
    assert set(good.per_class) == set(real.classes)
