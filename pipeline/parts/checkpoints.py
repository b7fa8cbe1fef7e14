"""Checkpoints and results of a part in storage: atomic, keyed, the newest step wins."""

import io
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.storage.store import Storage

_STEP = re.compile(r"step-(\d{10})\.pt$")
_DAMAGED = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, IndexError)
WEIGHTS = "weights.safetensors"
RESULT = "result.json"


class Checkpoints:
    """The files below `<storage>/<part>/<key>/`: `step-N.pt`, then the weights and `result.json`.

    `result.json` is written last: where it is, the part is finished.

    Args:
        storage: local folder or S3.
        folder: the part's prefix, `<part>/<key>`.
    """

    def __init__(self, storage: Storage, folder: str) -> None:
        self.storage, self.folder = storage, folder

    def result(self) -> dict[str, Any] | None:
        """The finished part's result, or None."""
        key = f"{self.folder}/{RESULT}"
        return self.storage.read_json(key) if self.storage.exists(key) else None

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Write the state after `step` steps; older checkpoints go once it is there."""
        import torch

        content = io.BytesIO()
        torch.save(dict(state), content)
        self.storage.write(f"{self.folder}/step-{step:010d}.pt", content.getvalue())
        for old, key in self._steps()[:-2]:
            if old < step:
                self.storage.delete(key)

    def load(self, device: str) -> tuple[int, dict[str, Any]] | None:
        """(step, state) of the newest readable checkpoint, or None. Unreadable ones are passed
        over: an older one, or the start, is always right."""
        import torch

        for step, key in reversed(self._steps()):
            try:
                content = io.BytesIO(self.storage.read(key)[0])
            except FileNotFoundError:  # another worker has newer ones by now
                continue
            try:
                return step, torch.load(content, map_location=device, weights_only=True)
            except _DAMAGED as error:
                reason = (str(error) or type(error).__name__).splitlines()[0]
                print(f"checkpoint {key} cannot be read ({reason}); trying an older one")
        return None

    def finish(self, weights: Path, result: Mapping[str, Any]) -> None:
        """Store the final weights, then the result, then drop the checkpoints."""
        self.storage.put_file(weights, f"{self.folder}/{WEIGHTS}")
        self.storage.write_json(f"{self.folder}/{RESULT}", dict(result))
        for _, key in self._steps():
            self.storage.delete(key)

    def fetch_weights(self, local: Path) -> None:
        """Copy the finished part's weights to `local`."""
        self.storage.get_file(f"{self.folder}/{WEIGHTS}", local)

    def _steps(self) -> list[tuple[int, str]]:
        found = [(_STEP.search(key), key) for key in self.storage.list(self.folder)]
        return sorted((int(match[1]), key) for match, key in found if match)
