"""Which number format a step runs in."""

import pytest
import torch

from sgan.training import precision

CPU = torch.device("cpu")


def test_names_resolve_to_dtypes() -> None:
    assert precision.resolve("float32", CPU) == torch.float32
    assert precision.resolve("bfloat16", CPU) == torch.bfloat16


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_follows_the_hardware(native, expected, monkeypatch) -> None:
    monkeypatch.setattr(precision, "_has_native_bfloat16", lambda device: native)
    assert precision.resolve("auto", CPU) == expected


def test_autocast_runs_matrix_products_in_the_dtype() -> None:
    a = torch.rand(4, 4)
    with precision.autocast(torch.bfloat16, CPU):
        assert (a @ a).dtype == torch.bfloat16
    with precision.autocast(torch.float32, CPU):
        assert (a @ a).dtype == torch.float32
