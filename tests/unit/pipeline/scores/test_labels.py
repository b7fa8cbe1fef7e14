"""Are labels obeyed: GAN-test by counting, IS at its known ends."""

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.scores.judge import Judge
from pipeline.scores.labels import (
    gan_test,
    inception_style_score,
)


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
