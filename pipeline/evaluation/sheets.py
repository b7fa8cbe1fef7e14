"""The pictures of an evaluation, as PNG files and as figures of the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.evaluation import studies
from pipeline.evaluation.grids import grid
from pipeline.evaluation.indomain import RealImages, Samples
from pipeline.evaluation.report import Figure

if TYPE_CHECKING:
    from sgan.stack import Stack


def draw_sheets(
    stack: Stack, real: RealImages, samples: Samples, folder: Path, columns: int
) -> list[Figure]:
    """Write every sheet as `<name>.png` into `folder`; returns the report's figures.

    Samples per class; real beside fake; for each level, z_i varied with everything else fixed and
    z_i interpolated; reconstructions from h_1; nearest training images.
    """
    classes = real.classes
    figures = []

    def add(name: str, sheet: studies.Sheet, title: str, alt: str, section: str) -> None:
        image = grid(
            sheet.images,
            sheet.columns,
            row_labels=sheet.row_labels,
            column_labels=sheet.column_labels,
        )
        path = folder / f"{name}.png"
        image.save(path)
        figures.append(Figure(title, path, alt, section=section))

    kind = f"{len(classes)} classes, a row each"
    own = studies.class_samples(stack, classes, columns)
    add("samples", own, "Samples", f"Samples of {kind}.", "Samples")
    true = studies.Sheet(_per_class(real, columns), columns, classes)
    add("real", true, "Real images", f"Real test images of {kind}.", "Samples")
    for i in reversed(stack.active):
        others = "y" + "".join(f", z_{j}" for j in reversed(stack.active) if j != i)
        text = f"Each row fixes {others}; only z_{i} differs between its pictures."
        sheet = studies.vary(stack, classes, i, columns)
        add(f"vary_z{i}", sheet, f"z_{i} varied", text, "What the noise does")
        sheet = studies.interpolate(stack, classes, i, columns)
        text = f"Each row fixes {others}; z_{i} goes straight from one draw to another."
        add(f"interpolate_z{i}", sheet, f"z_{i} interpolated", text, "What the noise does")
    if stack.num_levels > 1:
        sheet = studies.reconstructions(stack, real.test_images[:columns])
        text = "Top row: real test images. Below: images from their h_1 with three draws of z_0."
        add("reconstructions", sheet, "Reconstructions from h_1", text, "Reconstructions")
    sheet = studies.nearest_training(samples.images, real.train_images, columns)
    text = "Top row: samples. Bottom row: the training image nearest to each in pixels."
    add("nearest", sheet, "Nearest training images", text, "Memorisation")
    return figures


def _per_class(real: RealImages, columns: int) -> np.ndarray:
    rows = [np.flatnonzero(real.test_labels == k) for k in range(len(real.classes))]
    return real.test_images[np.concatenate([np.resize(r, columns) for r in rows])]
