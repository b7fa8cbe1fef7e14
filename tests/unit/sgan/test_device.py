"""The device that a name means on this machine."""

import pytest
import torch

from sgan.device import choose_device
from sgan.errors import DeviceError


def test_auto_is_the_accelerator_that_torch_finds_or_else_the_cpu() -> None:
    found = torch.accelerator.current_accelerator(check_available=True)
    assert choose_device().type == (found.type if found else "cpu")
    assert choose_device("cpu") == torch.device("cpu")


def test_a_device_that_is_not_there_is_named_with_what_is() -> None:
    with pytest.raises(DeviceError, match=r"'xpu': this machine has (no accelerator|cuda only)"):
        choose_device("xpu")
