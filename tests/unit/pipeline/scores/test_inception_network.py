"""The trunk's parts: folded batch norm, and the names that other files have for its weights."""

import pytest
import torch
from torch.nn import functional

from pipeline.scores.inception_network import (
    LAST_LAYER,
    InceptionTrunk,
    fidelity_name,
    fold,
    from_frozen_graph,
)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return InceptionTrunk().state_dict()


def test_folding_is_batch_norm() -> None:
    torch.manual_seed(0)
    weight, mean, beta = torch.randn(4, 3, 3, 3), torch.randn(4), torch.randn(4)
    variance, gamma, x = torch.rand(4) + 0.1, torch.rand(4), torch.randn(2, 3, 8, 8)
    plain = functional.batch_norm(
        functional.conv2d(x, weight), mean, variance, gamma, beta, eps=1e-3
    )
    folded = functional.conv2d(x, *fold(weight, mean, variance, beta, gamma))
    torch.testing.assert_close(folded, plain, atol=1e-5, rtol=1e-5)


def test_names_of_other_files_are_read(state: dict[str, torch.Tensor]) -> None:
    units = [name.removesuffix(".conv.weight") for name in state if name.endswith("weight")]
    assert len(units) == 94 == len({fidelity_name(unit) for unit in units})
    assert fidelity_name("mixed_9.tower_1_mixed_conv_1") == "Mixed_7b.branch3x3dbl_3b"
    assert fidelity_name("mixed_8.tower_1.conv_3") == "Mixed_7a.branch7x7x3_4"
    frozen = {}
    for unit in units:
        outputs = len(state[f"{unit}.conv.weight"])
        frozen[f"net.layers.{unit}.weight"] = state[f"{unit}.conv.weight"]
        frozen[f"net.layers.{unit}.mean"] = torch.zeros(outputs)
        frozen[f"net.layers.{unit}.var"] = torch.full((outputs,), 1 - 1e-3)
        frozen[f"net.layers.{unit}.beta"] = state[f"{unit}.conv.bias"]
    ours = from_frozen_graph(frozen | {"output.weight": torch.zeros(1008, 2048)})
    assert set(ours) == set(state)  # a last layer of zeros counts as missing
    torch.testing.assert_close(
        ours["mixed_4.tower.conv_1.conv.weight"], state["mixed_4.tower.conv_1.conv.weight"]
    )
    last = torch.ones(1008, 2048)
    assert LAST_LAYER in from_frozen_graph(frozen | {"output.weight": last})
