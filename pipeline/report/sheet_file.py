"""A sheet of images as a PNG file."""

from pathlib import Path

from pipeline.report.grids import grid
from pipeline.scores.studies import Sheet
from pipeline.storage.atomic import atomic_path


def write_sheet(path: Path, sheet: Sheet) -> None:
    """Write a sheet as PNG, atomically, with what its rows and columns show."""
    image = grid(
        sheet.images,
        sheet.columns,
        row_labels=sheet.row_labels,
        column_labels=sheet.column_labels,
    )
    with atomic_path(path) as temporary:
        image.save(temporary, "PNG")
