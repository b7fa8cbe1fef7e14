"""The nearest training image of a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.scores.neighbours import nearest

if TYPE_CHECKING:
    from pipeline.scores.trained import Trained

_MOST_BYTES = 2**30
_ROWS = 8192  # compared at a time: as floats they take four times as much memory


class TrainingImages:
    """The training split in memory.

    Args:
        images: uint8 [N, H, W, C].
        labels: int64 [N].
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def of(cls, model: Trained) -> tuple[TrainingImages | None, str]:
        """Those that a stack was trained on; None where there are none, and why."""
        if model.manifest is None:
            return None, (
                "the images that this stack was trained on are not in this project; serve it in "
                "the folder where `dvc repro prepare` made them"
            )
        needed = model.manifest.rows("train") * int(np.prod(model.image_shape))
        if needed > _MOST_BYTES:
            return None, (
                f"the training images take {needed / 2**30:.1f} GiB, and nearest ones are looked "
                f"for among {_MOST_BYTES / 2**30:.0f} GiB at most"
            )
        return cls(*model.split("train")), ""

    def nearest(self, image: np.ndarray) -> tuple[int, float]:
        """Row of the training image nearest to uint8 [H, W, C], and its Euclidean distance, pixels
        in [0, 1]."""
        best, row = float("inf"), -1
        for start in range(0, len(self.images), _ROWS):
            distance, found = nearest(image[None], self.images[start : start + _ROWS])
            if distance[0] < best:
                best, row = float(distance[0]), start + int(found[0])
        return row, best
