"""The stack that is served: what it is, and its images drawn from orders."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.data.class_names import class_of
from pipeline.scores.trained import trained
from pipeline.serving.directions import Directions, find_directions
from pipeline.serving.training_images import TrainingImages
from sgan.drawing import Drawer

if TYPE_CHECKING:
    from pipeline.serving.sources import Source


@dataclass
class ServedModel:
    """A stack that is ready to draw; never changed, replaced as a whole.

    Attributes:
        address: where it was asked for: a file, or models:/….
        version: which of the weights there; in the registry its number.
        sha256: of the weights file, hex.
        sample_options: what names these weights to `sgan sample`.
        drawer: draws.
        classes: names, by label.
        training: the images it was trained on, None where the project does not have them.
        why_none: why `training` is None.
    """

    address: str
    version: str
    sha256: str
    sample_options: str
    drawer: Drawer
    classes: tuple[str, ...]
    training: TrainingImages | None
    why_none: str
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _directions: Directions | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.drawer.stack.config.image.shape

    @property
    def z_dims(self) -> dict[int, int]:
        """Length of z_i, by level."""
        return self.drawer.z_dims

    def directions(self) -> Directions:
        """The directions of every z_i that change the image most: seconds at first, then kept."""
        with self._lock:
            if self._directions is None:
                self._directions = find_directions(self.drawer)
            return self._directions

    def label_of(self, given: int | str) -> int | None:
        """A class by its name, or else by its number; None for neither. Raises UserError for a name
        that may be one of several."""
        if isinstance(given, int):
            return given if 0 <= given < len(self.classes) else None
        return class_of(given, self.classes)

    def facts(self) -> dict[str, Any]:
        """What `GET /v1/model` tells, but for limits."""
        channels, height, width = self.image_shape
        return {
            "model": self.address,
            "version": self.version,
            "sha256": self.sha256,
            "classes": list(self.classes),
            "image": {"height": height, "width": width, "channels": channels},
            "levels": [{"level": i, "z_dim": dim} for i, dim in sorted(self.z_dims.items())],
            "training_images": 0 if self.training is None else len(self.training),
            "sample_options": self.sample_options,
        }


def load(source: Source, version: str) -> ServedModel:
    """The stack of a source, warmed up by one image.

    Raises:
        UserError: the source has none, or the registry does not answer.
        WeightsError: the file is damaged, or not a whole stack.
    """
    with source.weights(version) as path:
        model = _read(path, source, version)
    model.drawer.images(*_one(model.drawer))
    return model


def _read(path: Path, source: Source, version: str) -> ServedModel:
    stack = trained(path)
    training, why = TrainingImages.of(stack)
    return ServedModel(
        address=source.address,
        version=version,
        sha256=_sha256(path),
        sample_options=source.told(version),
        drawer=Drawer(stack.stack),
        classes=stack.classes,
        training=training,
        why_none=why,
    )


def _one(drawer: Drawer) -> Sequence[Any]:
    import torch

    return torch.zeros(1, dtype=torch.int64), drawer.noise([0])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
