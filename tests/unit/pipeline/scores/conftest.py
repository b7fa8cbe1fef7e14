"""Unit tests of scores need no skilled judge: those that do are in tests/integration/scores."""

import pytest

from pipeline.scores.inputs import RealImages
from pipeline.scores.judge import Judge, train_judge


@pytest.fixture(scope="session")
def judge(real: RealImages) -> Judge:
    """A judge that has seen 300 digits, a few times."""
    return train_judge(real.train_images[:300], real.train_labels[:300], num_classes=10)
