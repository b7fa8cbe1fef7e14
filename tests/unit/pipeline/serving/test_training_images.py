"""The nearest training image, and where there is none."""

import numpy as np
import pytest

from pipeline.scores.trained import trained
from pipeline.serving import training_images
from pipeline.serving.training_images import TrainingImages


def test_the_nearest_is_found_in_whichever_part(monkeypatch):
    monkeypatch.setattr(training_images, "_ROWS", 7)
    images = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 3), np.uint8)
    held = TrainingImages(images, np.arange(30))
    assert len(held) == 30
    for row in (0, 6, 7, 29):
        near = images[row].copy()
        near[0, 0, 0] ^= 16
        found, distance = held.nearest(near)
        assert found == row
        assert distance == pytest.approx(16 / 255, rel=1e-2)


def test_a_stack_without_its_data_says_so(weights):
    held, why = TrainingImages.of(trained(weights))
    assert held is None
    assert "not in this project" in why
