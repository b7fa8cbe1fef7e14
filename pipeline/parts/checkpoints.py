"""Checkpoints and results of a part in storage: atomic, keyed, digested; the newest step wins."""

import hashlib
import io
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.storage.atomic import write_bytes
from pipeline.storage.backend import Damaged, NoConditionalWrites
from pipeline.storage.store import Storage, json_bytes

_STEP = re.compile(r"step-(\d{10})\.pt$")
_DAMAGED = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, IndexError)
_READS = 3
RESULT = "result.json"


class Checkpoints:
    """The files below `<storage>/<part>/<key>/`: `step-N.pt`, then `weights-<digest>.safetensors`
    and `result.json`.

    A checkpoint begins with a line that holds the SHA-256 of the rest, which torch saved.
    `result.json` is written last: where it is, the part is finished. It names the weights by their
    SHA-256, and the key. Several may write: a worker whose node was thought dead lives some seconds
    beside its successor. The newest step then wins, and the first result.

    Args:
        storage: where the files are.
        folder: the part's prefix, `<part>/<key>`.
    """

    def __init__(self, storage: Storage, folder: str) -> None:
        self.storage, self.folder = storage, folder

    def result(self) -> dict[str, Any] | None:
        """The finished part's result, or None.

        Raises UserError where what lies there is no result, or another part's.
        """
        name = f"{self.folder}/{RESULT}"
        try:
            found = self.storage.read_json(name)
        except FileNotFoundError:
            return None
        key = found.get("key") if isinstance(found, dict) else None
        if key != self.folder.rpartition("/")[2]:
            raise UserError(
                f"{self.storage.uri}/{name} is the result of another part (its key: {key}); "
                f"delete {self._told()} and run again, which trains this one"
            )
        return found

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Write the state after `step` steps; older checkpoints go once it is there."""
        import torch

        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        content = buffer.getvalue()
        digest = hashlib.sha256(content).hexdigest().encode()
        self.storage.write(f"{self.folder}/step-{step:010d}.pt", digest + b"\n" + content)
        for old, key in self._steps()[:-2]:
            if old < step:
                self.storage.delete(key)

    def load(self, device: str) -> tuple[int, dict[str, Any]] | None:
        """(step, state) of the newest readable checkpoint, or None. Unreadable ones are passed
        over: an older one, or the start, is always right."""
        import torch

        for step, key in reversed(self._steps()):
            try:
                content = self._checked(key)
            except FileNotFoundError:  # another worker has newer ones by now
                continue
            try:
                if content is None:
                    raise ValueError("its digest is another")
                return step, torch.load(content, map_location=device, weights_only=True)
            except _DAMAGED as error:
                reason = (str(error) or type(error).__name__).splitlines()[0]
                print(f"checkpoint {key} cannot be read ({reason}); trying an older one")
        return None

    def newest(self) -> int:
        """Steps of the newest checkpoint, 0 where there is none."""
        return max((step for step, _ in self._steps()), default=0)

    def finish(self, weights: Path, result: Mapping[str, Any]) -> dict[str, Any]:
        """Store the final weights, then the result, then drop the checkpoints.

        Returns the result that counts: where another worker has finished the part meanwhile, its.

        Args:
            weights: their file.
            result: names them by `weights_sha256`, and the part by `key`.
        """
        finished = self.result()
        if finished is None:
            content = weights.read_bytes()
            self.storage.write(f"{self.folder}/{_weights_of(result)}", content)
            finished = dict(result) if self._is_first(result) else self.result()
        for _, key in self._steps():
            self.storage.delete(key)
        assert finished is not None
        return finished

    def fetch_weights(self, local: Path) -> None:
        """Copy the finished part's weights to `local`.

        Raises UserError where they are not those that the result names, or gone.
        """
        result = self.result() or {}
        key = f"{self.folder}/{_weights_of(result)}"
        for _ in range(_READS):  # what came wrong over a wire may come right the next time
            try:
                content, _ = self.storage.read(key)
            except FileNotFoundError as error:
                raise UserError(f"{error}; delete {self._told()} and run again") from error
            digest = hashlib.sha256(content).hexdigest()
            if digest == result.get("weights_sha256"):
                write_bytes(local, content)
                return
        raise UserError(
            f"{self.storage.uri}/{key} is not what was trained: its SHA-256 is {digest}, "
            f"{RESULT} says {result.get('weights_sha256')}. Delete {self._told()} and run again, "
            "which trains it anew"
        )

    def _is_first(self, result: Mapping[str, Any]) -> bool:
        key, content = f"{self.folder}/{RESULT}", json_bytes(dict(result))
        try:
            return self.storage.create(key, content)
        except NoConditionalWrites:
            self.storage.write(key, content)
            return True

    def _checked(self, key: str) -> io.BytesIO | None:
        """What torch saved, or None where it is not that any more. Raises FileNotFoundError."""
        for _ in range(_READS):
            try:
                digest, _, content = self.storage.read(key)[0].partition(b"\n")
            except Damaged:
                return None
            if hashlib.sha256(content).hexdigest().encode() == digest:
                return io.BytesIO(content)
        return None

    def _steps(self) -> list[tuple[int, str]]:
        found = [(_STEP.search(key), key) for key in self.storage.list(self.folder)]
        return sorted((int(match[1]), key) for match, key in found if match)

    def _told(self) -> str:
        return f"{self.storage.uri}/{self.folder}"


def _weights_of(result: Mapping[str, Any]) -> str:
    """The file of a result's weights: two that finish a part at once write two."""
    return f"weights-{str(result.get('weights_sha256'))[:12]}.safetensors"
