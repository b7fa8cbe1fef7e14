"""Features of real images, computed once per data set and judge and kept by digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.storage.atomic import atomic_path


def cached_arrays(
    directory: str | os.PathLike[str], key: str, compute: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Arrays named by the hash of `key`, from `directory` or computed and kept there (safetensors).

    `key` must say everything that the arrays depend on: digests of data and weights, counts,
    filters. A damaged file is computed anew. Writing is atomic, so concurrent runs do no harm.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file, save_file

    path = Path(directory) / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.safetensors"
    if path.is_file():
        try:
            return load_file(path)
        except (SafetensorError, OSError):
            path.unlink(missing_ok=True)
    arrays = {name: np.ascontiguousarray(array) for name, array in compute().items()}
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, {"key": key})
    return arrays
