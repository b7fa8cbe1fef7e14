"""The model as a server calls it: labels and seeds in, images out."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException

from pipeline.tracking.serving_model import SampleStack
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack
from sgan.weights import save_stack


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(3)
    levels = (LevelConfig(z_dim=4, width=0.25),) * 2
    config = StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(), levels)
    stack = Stack(config)
    for parameter in stack.parameters():
        if parameter.dim() > 1:  # the usual start is so small that every image is grey
            torch.nn.init.kaiming_normal_(parameter)
    path = tmp_path_factory.mktemp("model") / "stack.safetensors"
    save_stack(path, stack, {})
    model = SampleStack()
    model.load_context(SimpleNamespace(artifacts={"stack": str(path)}))
    return model


def ask(model, **columns):
    return model.predict(None, pd.DataFrame(columns))


def test_an_image_for_each_label(model):
    images = ask(model, label=[0, 9, 0])
    assert (images.shape, images.dtype) == ((3, 28, 28, 1), np.uint8)
    assert images.std() > 0


def test_a_row_with_a_seed_is_the_same_in_every_request(model):
    many = ask(model, label=[3, 5, 7], seed=[1, 2, 3])
    assert np.array_equal(many[1:2], ask(model, label=[5], seed=[2]))
    assert np.array_equal(many[::-1], ask(model, label=[7, 5, 3], seed=[3, 2, 1]))
    assert (many[1] != ask(model, label=[5], seed=[4])[0]).any()


@pytest.mark.parametrize("gap", [None, float("nan"), pd.NA])
def test_a_gap_among_the_seeds_draws_a_new_one(model, gap):
    first, second = (ask(model, label=[3, 3], seed=[5, gap]) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert (first[1] != second[1]).any()
    assert np.array_equal(first[:1], ask(model, label=[3], seed=[5]))


def test_more_rows_than_a_client_would_wait_for_are_refused(model):
    with pytest.raises(MlflowException, match="10,000 rows: 256 are drawn at once; ask in parts"):
        ask(model, label=[3] * 10_000)
    many = pd.DataFrame({"label": [3] * 257})
    assert model.predict(None, many, {"max_rows": 257}).shape == (257, 28, 28, 1)


def test_without_seeds_every_call_draws_anew(model):
    assert (ask(model, label=[3]) != ask(model, label=[3])).any()


def test_columns_may_come_as_plain_lists(model):
    """JSON of a request arrives as a mapping."""
    one = model.predict(None, {"label": [3], "seed": [7]})
    assert np.array_equal(one, ask(model, label=[3], seed=[7]))


def test_no_rows_are_no_images(model):
    assert ask(model, label=np.zeros(0, int)).shape == (0, 28, 28, 1)
    assert ask(model, label=[]).shape == (0, 28, 28, 1)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"class": [1]}, r"no column 'label' \(0 to 9\)"),
        ({"label": [1, 10]}, r"'label' holds '10': allowed are whole numbers from 0 to 9"),
        ({"label": [-1]}, r"'label' holds '-1'"),
        ({"label": [1, 3.5]}, r"'label' holds '3.5'"),
        ({"label": [1, True]}, r"'label' holds 'True'"),
        ({"label": [True]}, r"'label' holds 'True'"),
        ({"label": [1, None]}, r"'label' holds 'nan'"),
        ({"label": ["three"]}, r"'label' holds 'three'"),
        ({"label": [1], "seed": [0.5]}, r"'seed' holds '0.5': allowed .* 0 to 2147483647"),
        ({"label": [1], "seed": [-1]}, r"'seed' holds '-1'"),
        ({"label": [1], "seed": [2**31]}, r"'seed' holds '2147483648'"),
        ({"label": [1], "seed": [2**70]}, r"'seed' holds"),
        ({"label": [1], "seed": [float("inf")]}, r"'seed' holds 'inf'"),
    ],
)
def test_what_cannot_be_drawn_is_the_caller_s_mistake(model, columns, message):
    with pytest.raises(MlflowException, match=message) as refused:
        ask(model, **columns)
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
