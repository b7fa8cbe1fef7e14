"""Where the served weights come from: a file, or a version of a registered model."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pipeline import paths
from pipeline.errors import UserError

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from pipeline.scores.trained import Trained
    from pipeline.tracking.registry import Registry

_ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")


class Source(Protocol):
    """Weights that may be replaced while they are served."""

    @property
    def address(self) -> str:
        """As the person gave it, to print."""
        ...

    def version(self) -> str:
        """Which weights are there now: another text, other weights. Raises UserError."""
        ...

    def weights(self, version: str) -> AbstractContextManager[Path]:
        """Inside it, the file with these weights. Raises UserError."""
        ...

    def told(self, version: str) -> str:
        """The options of `sgan sample` that name these weights."""
        ...


def source(model: str | None, weights: Path | None) -> Source:
    """What `--model` or `--weights` names; the project's own stack without either.

    Raises UserError for a model's address that is none, or whose registry does not answer.
    """
    if model is not None:
        return RegisteredModel(model)
    return WeightsFile(paths.project_root() / paths.STACK_WEIGHTS if weights is None else weights)


def stack_of(model: str | None, weights: Path) -> Trained:
    """The stack that `--model` names, or else the file `weights`. Raises UserError."""
    from pipeline.scores.trained import trained

    if model is None:
        return trained(weights)
    registered = RegisteredModel(model)
    with registered.weights(registered.version()) as path:
        return trained(path)


@dataclass(frozen=True)
class WeightsFile:
    """A weights file; a new one under the same name is another version."""

    path: Path

    @property
    def address(self) -> str:
        """The file, from the project's folder if it lies there."""
        root = paths.project_root()
        inside = self.path.is_relative_to(root)
        return str(self.path.relative_to(root) if inside else self.path)

    def version(self) -> str:
        """When it was written, and its size."""
        try:
            status = self.path.stat()
        except OSError as error:
            raise UserError(
                f"--weights {self.path}: {error.strerror}; train first (`dvc repro`), or name "
                "another"
            ) from None
        return f"{status.st_mtime_ns:x}-{status.st_size:x}"

    @contextmanager
    def weights(self, version: str) -> Iterator[Path]:
        """The file itself."""
        yield self.path

    def told(self, version: str) -> str:
        """Nothing for the file that `sgan sample` takes by itself."""
        import shlex

        own = self.path.resolve() == (paths.project_root() / paths.STACK_WEIGHTS).resolve()
        return "" if own else f"--weights {shlex.quote(str(self.path))}"


class RegisteredModel:
    """`models:/NAME@ALIAS` or `models:/NAME/VERSION` of the project's MLflow.

    Raises UserError where the address is none, or MLflow does not answer.
    """

    def __init__(self, address: str) -> None:
        found = _ADDRESS.fullmatch(address)
        if found is None:
            raise UserError(
                f"--model {address}: must be models:/NAME@ALIAS or models:/NAME/VERSION, such as "
                "models:/sgan-mnist@champion"
            )
        self.address = address
        self._name = found["name"]
        self._which = found["alias"] or found["version"]
        self._registry = self._open()

    def _open(self) -> Registry:
        from pipeline.tracking.experiment import experiment_name
        from pipeline.tracking.registry import Registry
        from pipeline.tracking.tracker import Tracker

        tracker = Tracker(paths.project_root(), experiment_name(), patient=False)
        return Registry(tracker, self._name)

    def version(self) -> str:
        """The number of the version that the address means now."""
        return str(self._found(self._which).version)

    def _found(self, which: str) -> ModelVersion:
        found = self._registry.version(which)
        if found is None:
            raise UserError(
                f"--model {self.address}: the registry has none; `dvc repro evaluate` registers a "
                "stack as `challenger`, `sgan promote` makes it `champion`"
            )
        return found

    @contextmanager
    def weights(self, version: str) -> Iterator[Path]:
        """The version's file, in a folder that is gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="sgan-serve-") as folder:
            yield self._registry.stack_file(self._found(version), Path(folder))

    def told(self, version: str) -> str:
        """The version by its number, since an alias moves on."""
        return f"--model models:/{self._name}/{version}"
