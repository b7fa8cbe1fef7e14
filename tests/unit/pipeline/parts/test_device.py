"""The device that params.yaml asks for is this machine's, or one line says that it has none."""

import pytest
import torch

from pipeline.errors import UserError
from pipeline.parts.device import device_of, precision_here, record_of


def test_the_cpu_is_always_there() -> None:
    assert device_of("cpu") == torch.device("cpu")


def test_auto_is_whatever_torch_finds() -> None:
    found = torch.accelerator.current_accelerator(check_available=True)
    assert device_of("auto").type == (found.type if found else "cpu")


def test_an_accelerator_that_is_not_here_is_told_as_the_field_that_asks_for_it() -> None:
    found = torch.accelerator.current_accelerator(check_available=True)
    absent = "xpu" if found and found.type == "cuda" else "cuda"
    message = rf"^runtime\.device = '{absent}': this machine has .*; set it to 'auto'$"
    with pytest.raises(UserError, match=message):
        device_of(absent)


def test_a_record_says_what_the_numbers_ran_on() -> None:
    found = record_of(torch.device("cpu"), 2, "torch.bfloat16")
    assert found["threads"] == 2 and found["precision"] == "bfloat16"
    assert found["torch"] == torch.__version__
    assert torch.backends.cpu.get_cpu_capability() in found["instructions"]
    assert found["processor"]


def test_auto_precision_is_that_of_the_device() -> None:
    assert precision_here("cpu") in ("bfloat16", "float32")
