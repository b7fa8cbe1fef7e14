"""How images reach a network: what is refused, the scale of pixels, the size of batches."""

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.scores.extractor import batch_size, check_images, to_input, weights_digest

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((2, 8, 8, 1), np.float32),
        np.zeros((2, 8, 8), np.uint8),
        np.zeros((0, 8, 8, 1), np.uint8),
        np.zeros((2, 8, 8, 4), np.uint8),
    ],
)
def test_arrays_that_are_no_images(bad: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"these: expected a non-empty uint8 array \[N, H, W, C\]"):
        check_images(bad, "these")


def test_pixels_reach_the_network_scaled_and_channels_first() -> None:
    images = np.zeros((1, 2, 3, 1), np.uint8)
    images[0, 1, 2, 0] = 255
    x = to_input(images, 1 / 127.5, -1.0, CPU)
    assert x.shape == (1, 1, 2, 3)
    assert (x[0, 0, 0, 0], x[0, 0, 1, 2]) == (-1.0, 1.0)


def test_batches_shrink_as_images_grow() -> None:
    assert batch_size((3, 32, 32), CPU) == 512
    assert batch_size((3, 64, 64), CPU) == 128
    assert batch_size((3, 1024, 1024), CPU) == 16
    assert batch_size((1, 8, 8), torch.device("cuda")) == 8192


def test_a_digest_sees_names_values_and_types_but_not_the_order() -> None:
    one = {"a": torch.zeros(2), "b": torch.ones(1)}
    digest = weights_digest(one)
    assert weights_digest(dict(reversed(one.items()))) == digest
    for other in (
        {"c": one["a"], "b": one["b"]},
        {**one, "a": torch.full((2,), 1e-9)},
        {**one, "a": one["a"].double()},
        {**one, "a": one["a"][:, None]},
    ):
        assert weights_digest(other) != digest
