"""Are labels obeyed: GAN-test by counting, IS at its known ends, CAS on digits and on collapse."""

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.scores.inputs import RealImages
from pipeline.scores.judge import Judge
from pipeline.scores.labels import (
    classification_accuracy_score,
    gan_test,
    inception_style_score,
)
from pipeline.scores.score import Score


def test_gan_test_counts(judge: Judge) -> None:
    logits = np.eye(3)[[0, 1, 2, 2]]
    score = gan_test(logits, np.array([0, 1, 1, 2]), judge, ("a", "b", "c"))
    assert score.value == 0.75 and (score.metric, score.n) == ("gan_test", 4)
    assert score.per_class == {"a": 1.0, "b": 0.5, "c": 1.0}
    with pytest.raises(UserError, match="do not fit"):
        gan_test(logits, np.array([0, 1]), judge, ("a", "b", "c"))


def test_inception_style_score_has_known_ends(judge: Judge) -> None:
    sure = np.eye(10)[np.arange(1000) % 10] * 100
    score = inception_style_score(sure, judge)
    assert score.value == pytest.approx(10, rel=0.06)  # parts of 100 are not quite even
    assert inception_style_score(np.zeros((1000, 10)), judge).value == pytest.approx(1)
    alike = np.tile(np.eye(10)[3] * 100, (1000, 1))
    assert inception_style_score(alike, judge).value == pytest.approx(1)
    assert score.key == "is_judge_1k" and score.name == "IS (judge CNN, 1k)"
    with pytest.raises(UserError, match="5 images for 10 splits"):
        inception_style_score(sure[:5], judge)


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
