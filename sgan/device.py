"""The device that the nets live on."""

from __future__ import annotations

import torch

from sgan.errors import DeviceError


def choose_device(name: str = "auto") -> torch.device:
    """The device for 'auto', 'cpu', or an accelerator's type such as 'cuda'.

    'auto' is whatever accelerator torch finds here (`torch.accelerator`), else the CPU.
    Raises DeviceError where the machine has no such device.
    """
    found = torch.accelerator.current_accelerator(check_available=True)
    if name == "auto":
        return torch.device("cpu") if found is None else torch.device(found.type)
    if name != "cpu" and (found is None or found.type != name):
        has = "no accelerator that torch can use" if found is None else f"{found.type} only"
        raise DeviceError(f"{name!r}: this machine has {has}; set it to 'auto'")
    return torch.device(name)
