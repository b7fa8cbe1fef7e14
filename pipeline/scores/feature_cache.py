"""What depends on real images only, computed once per data set, judge and code, kept by digest."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.storage.atomic import atomic_path
from pipeline.storage.store import Storage

FEATURES = "features"  # the folder of a storage that has what depends on real images


@dataclass(frozen=True)
class FeatureCache:
    """A folder of arrays: `pipeline.scores.inputs.Kept`."""

    folder: Path

    def __call__(
        self, module: str, name: str, compute: Callable[[], dict[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """The arrays of `name` as the code of `module` (or several, with a space between them)
        makes them, kept or computed and kept.

        `name` must say everything else that they depend on: digests of data and weights, counts,
        seeds. A damaged file is computed anew. Writing is atomic, so concurrent runs do no harm.
        """
        from safetensors.numpy import save_file

        key = _key(module, name)
        path = self.folder / _file(key)
        found = _read(path)
        if found is not None:
            return found
        arrays = {name: np.asarray(array, order="C") for name, array in compute().items()}
        with atomic_path(path) as temporary:
            save_file(arrays, temporary, {"key": key, "sha256": _digest(arrays)})
        return arrays


@dataclass(frozen=True)
class StoredCache:
    """The same below a folder of a storage that is not on this machine's disk."""

    storage: Storage
    folder: str

    def __call__(
        self, module: str, name: str, compute: Callable[[], dict[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """As `FeatureCache`."""
        file = _file(_key(module, name))
        with tempfile.TemporaryDirectory(prefix="sgan-") as folder:
            local = Path(folder) / file
            try:
                self.storage.get_file(f"{self.folder}/{file}", local)
            except FileNotFoundError:
                pass
            kept = _read(local) is not None
            arrays = FeatureCache(Path(folder))(module, name, compute)
            if not kept:
                self.storage.put_file(local, f"{self.folder}/{file}")
        return arrays


def is_kept(storage: Storage, module: str, name: str) -> bool:
    """Whether a storage's `FEATURES` has the arrays of `name`, without a look inside."""
    return storage.exists(f"{FEATURES}/{_file(_key(module, name))}")


def _key(module: str, name: str) -> str:
    return f"{code_of(module)}:{module}:{name}"


def _file(key: str) -> str:
    return f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.safetensors"


@cache
def code_of(module: str) -> str:
    """SHA-256 (hex) of the code that decides what a module, or several with a space between them,
    computes: its import closure."""
    from pipeline.code import closure_digest

    return closure_digest(*module.split())


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """The file's arrays; None where there is none, or it is not what was written."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, "np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}
            sound = (file.metadata() or {}).get("sha256") == _digest(arrays)
    except (SafetensorError, OSError):
        return None
    return arrays if sound else None


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}:{array.dtype}:{array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
