"""A training curve of a fixed number of points, the same whether or not training was resumed."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.storage.atomic import atomic_path


class Curve:
    """Means of each metric over equal stretches of images seen, the last one up to the end.

    Args:
        total_images: images of the whole training.
        points: stretches; the curve has at most this many points, and one for what is left over.
    """

    def __init__(self, total_images: int, points: int = 200) -> None:
        self.total_images = total_images
        self.stride = max(1, total_images // points)
        self.rows: list[dict[str, float]] = []
        self._sums: dict[str, list[float]] = {}
        self._stretch = 0

    def add(self, images_seen: int, metrics: Mapping[str, float]) -> None:
        """One report, in order of images seen."""
        for key, value in metrics.items():
            total = self._sums.setdefault(key, [0.0, 0.0])
            total[0] += value
            total[1] += 1
        ended = images_seen >= self.total_images
        if ended or images_seen // self.stride > self._stretch:
            self._stretch = images_seen // self.stride
            means = {key: total / count for key, (total, count) in self._sums.items()}
            self.rows.append({"images_seen": images_seen, **means})
            self._sums = {}

    def state_dict(self) -> dict[str, Any]:
        """Everything to go on from a checkpoint."""
        return {"rows": self.rows, "sums": self._sums, "stretch": self._stretch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.rows = [dict(row) for row in state["rows"]]
        self._sums = {key: list(value) for key, value in state["sums"].items()}
        self._stretch = state["stretch"]


def write_curve(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """A curve as CSV (images_seen, then by name: a curve that was stored lists its keys in another
    order than one that was just made), for DVC's plots; atomic."""
    keys = sorted({key for row in rows for key in row}, key=lambda key: (key != "images_seen", key))
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, keys)
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in rows)
