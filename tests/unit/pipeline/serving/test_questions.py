"""Orders: what the noise of a request comes to."""

import pytest
import torch

from pipeline.serving.errors import Refused
from pipeline.serving.questions import Samples, check_sheet, order


def test_a_seed_s_noise_and_a_given_level(model):
    asked = order(Samples(label="3", seed=5, z={"0": [0, 0.5, 0.5, 1]}), model, 2)
    assert asked.y.tolist() == [3, 3]
    assert asked.z[0].tolist() == [[0, 0.5, 0.5, 1]] * 2
    assert torch.equal(asked.z[1], model.drawer.noise([5, 6])[1])


def test_without_a_seed_one_is_drawn(model):
    first, second = (order(Samples(label=1), model) for _ in range(2))
    assert first.seed != second.seed
    assert torch.equal(first.z[1], model.drawer.noise([first.seed])[1])


def test_seeds_wrap_at_the_last(model):
    asked = order(Samples(label=1, seed=2**31 - 1), model, 2)
    assert torch.equal(asked.z[0][1:], model.drawer.noise([0])[0])


def test_only_sheets_have_a_size(model):
    check_sheet(Samples(label=1, count=256, scale=16, format="zip"), model)
    with pytest.raises(Refused, match="count 256 at scale 16: the sheet would have 51,380,224"):
        check_sheet(Samples(label=1, count=256, scale=16), model)
