"""Sheets in a folder: in the report's order, each told."""

from pathlib import Path

from pipeline.report.figures import figures_in


def test_sheets_come_in_order_with_what_to_look_for(tmp_path: Path) -> None:
    for name in ("vary_z0", "nearest", "interpolate_z1", "samples", "vary_z1", "real", "mine"):
        (tmp_path / f"{name}.png").touch()
    (tmp_path / "scores.json").touch()
    figures = figures_in(tmp_path)
    assert [(figure.section, figure.title) for figure in figures] == [
        ("Samples", "Samples"),
        ("Samples", "Real images"),
        ("What the noise does", "z_1 varied"),
        ("What the noise does", "z_1 interpolated"),
        ("What the noise does", "z_0 varied"),
        ("Memorisation", "Nearest training images"),
    ]
    assert all(figure.alt and figure.caption for figure in figures)
    assert "z_1 is ignored" in figures[2].caption and "{" not in figures[2].alt


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert figures_in(tmp_path) == []
