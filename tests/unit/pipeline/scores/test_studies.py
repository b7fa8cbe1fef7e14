"""Sheets: what a row holds fixed, what varies, and real images beside what became of them."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from pipeline.scores import studies
from pipeline.scores.inputs import RealImages
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack

CLASSES = tuple("0123456789")


@pytest.fixture(scope="module")
def stack() -> Stack:
    """Two levels for digits with random weights."""
    torch.manual_seed(3)
    level = LevelConfig(z_dim=4)
    stack = Stack(StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(cut=("fc",)), (level,) * 2))
    for parameter in stack.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter)
    return stack.eval()


def test_a_row_of_samples_per_class(stack: Stack) -> None:
    sheet = studies.class_samples(stack, CLASSES, columns=3, seed=1)
    assert sheet.images.shape == (30, 28, 28, 1) and sheet.row_labels == CLASSES
    np.testing.assert_array_equal(
        studies.class_samples(stack, CLASSES, columns=3, seed=1).images, sheet.images
    )
    assert len(np.unique(sheet.images.reshape(30, -1), axis=0)) == 30
    some = studies.class_samples(stack, CLASSES, columns=3, seed=1, labels=(0, 8))
    assert some.images.shape == (6, 28, 28, 1) and some.row_labels == ("0", "8")
    drawn = stack.sample_uint8(
        torch.tensor([0, 0, 0, 8, 8, 8]), generator=torch.Generator().manual_seed(1)
    )
    np.testing.assert_array_equal(some.images, drawn.numpy())


@pytest.mark.parametrize("level", [0, 1])
def test_varied_and_interpolated_rows(stack: Stack, level: int) -> None:
    varied = studies.vary(stack, CLASSES, level, columns=4, labels=(2, 7))
    assert varied.images.shape == (8, 28, 28, 1) and varied.row_labels == ("2", "7")
    path = studies.interpolate(stack, CLASSES, level, columns=5, labels=(2,)).images.astype(float)
    steps = [np.abs(a - b).mean() for a, b in pairwise(path)]
    assert max(steps) < np.abs(path[0] - path[-1]).mean()  # no step is as far as the ends
    with pytest.raises(KeyError):
        studies.vary(stack, CLASSES, 2)


def test_reconstructions_stand_below_their_image(stack: Stack, real: RealImages) -> None:
    sheet = studies.reconstructions(stack, real.test_images[:5], draws=2)
    assert sheet.images.shape == (15, 28, 28, 1) and sheet.row_labels == (
        "real",
        "rebuilt",
        "rebuilt",
    )
    np.testing.assert_array_equal(sheet.images[:5], real.test_images[:5])
    assert (sheet.images[5:10] != sheet.images[10:]).any()  # z_0 is drawn anew


def test_the_nearest_training_image_stands_below_its_sample(real: RealImages) -> None:
    samples = np.clip(real.train_images[[7, 3, 11]] + 1, 0, 255).astype(np.uint8)
    sheet = studies.nearest_training(samples, real.train_images[:20], columns=2)
    assert sheet.columns == 2
    np.testing.assert_array_equal(sheet.images[2:], real.train_images[[7, 3]])
