"""The judge of the real digits reads them."""

import numpy as np
import pytest

from pipeline.scores.inputs import RealImages
from pipeline.scores.judge import Judge

pytestmark = pytest.mark.integration


def test_it_reads_digits(judge: Judge, real: RealImages) -> None:
    features, logits = judge.outputs(real.test_images)
    assert (logits.argmax(1) == real.test_labels).mean() >= 0.94
    assert features.shape == (500, 128) and features.dtype == logits.dtype == np.float32
    np.testing.assert_array_equal(judge.features(real.test_images[:3]), features[:3])
