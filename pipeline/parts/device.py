"""The device that params.yaml asks for, on this machine."""

from typing import TYPE_CHECKING

from pipeline.errors import UserError

if TYPE_CHECKING:
    import torch


def device_of(name: str) -> "torch.device":
    """The torch device of `runtime.device`. Raises UserError where this machine has none such."""
    from sgan.device import choose_device
    from sgan.errors import DeviceError

    try:
        return choose_device(name)
    except DeviceError as error:
        raise UserError(f"runtime.device = {error}") from None
