"""Which number format a training step's matrix work runs in, on this device."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch


def resolve(precision: str, device: torch.device) -> torch.dtype:
    """The dtype for 'float32', 'bfloat16' or 'auto'.

    'auto' is bfloat16 where the hardware multiplies it natively (CUDA from Ampere, x86 with
    AMX or AVX512-BF16), else float32: elsewhere bfloat16 is emulated, and slower.
    """
    if precision == "auto":
        return torch.bfloat16 if _has_native_bfloat16(device) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def _has_native_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu" or "AVX512" not in torch.backends.cpu.get_cpu_capability():
        return False
    # oneDNN's word alone does not do: it emulates bfloat16 wherever there is AVX-512.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    native = any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
    return native and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def autocast(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """An autocast context for `dtype`; no context at all for float32."""
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=dtype)
