"""The pictures of an evaluation, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.report.grids import grid
from pipeline.scores import studies
from pipeline.scores.asked import some_classes
from pipeline.scores.inputs import RealImages, Samples
from pipeline.storage.atomic import atomic_path

if TYPE_CHECKING:
    from sgan.stack import Stack

_CLASSES = 50  # at most: pages of a thousand rows are looked at by nobody, and by no browser


def draw_sheets(
    stack: Stack, real: RealImages, samples: Samples, folder: Path, columns: int
) -> None:
    """Write every sheet as `<name>.png` into `folder`; `figures` says what to look for in each.

    Samples per class; real beside fake; for each level, z_i varied with everything else fixed and
    z_i interpolated; reconstructions from h_1; nearest training images. Of more than fifty classes
    so many have rows.
    """
    classes = real.classes
    shown = tuple(some_classes(len(classes), _CLASSES).tolist())
    names = tuple(classes[label] for label in shown)
    sheets = {
        "samples": studies.class_samples(stack, classes, columns, labels=shown),
        "real": studies.Sheet(_per_class(real, columns, shown), columns, names),
    }
    for i in reversed(stack.active):
        sheets[f"vary_z{i}"] = studies.vary(stack, classes, i, columns, labels=shown)
        sheets[f"interpolate_z{i}"] = studies.interpolate(stack, classes, i, columns, labels=shown)
    if stack.num_levels > 1:
        sheets["reconstructions"] = studies.reconstructions(stack, real.test_images[:columns])
    sheets["nearest"] = studies.nearest_training(samples.images, real.train_images, columns)
    for name, sheet in sheets.items():
        image = grid(
            sheet.images,
            sheet.columns,
            row_labels=sheet.row_labels,
            column_labels=sheet.column_labels,
        )
        with atomic_path(folder / f"{name}.png") as temporary:
            image.save(temporary, "PNG")


def _per_class(real: RealImages, columns: int, shown: Sequence[int]) -> np.ndarray:
    """Held-out images, a row to each class shown; blank for a class that has none."""
    rows = [np.flatnonzero(real.test_labels == k) for k in shown]
    blank = np.full((columns, *real.test_images.shape[1:]), 255, np.uint8)
    return np.concatenate(
        [real.test_images[np.resize(r, columns)] if len(r) else blank for r in rows]
    )
