"""What a page says: holes are refused, parameters and titles read alike everywhere."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.report.contents import Figure, ReportData, check, curve_title, flat_params


def test_holes_are_refused(data: ReportData, tmp_path: Path) -> None:
    check(data)
    with pytest.raises(UserError, match=r"headline \['nothing'\] names no score; there are \['fid"):
        check(replace(data, headline=["nothing"]))
    gone = Figure("Gone", tmp_path / "gone.png", "gone")
    with pytest.raises(UserError, match=r"gone.png does not exist"):
        check(replace(data, figures=[gone]))
    with pytest.raises(UserError, match="'Samples' has no alt text"):
        check(replace(data, figures=[replace(data.figures[0], alt=" ")]))


def test_parameters_are_flattened() -> None:
    assert flat_params({"a": {"b": [1, 2], "c": {"d": None}}, "e": 1}) == {
        "a.b": "[1, 2]",
        "a.c.d": "None",
        "e": "1",
    }
    assert flat_params({}) == {}


def test_titles_of_curves() -> None:
    assert curve_title("level1", 1) == "Level 1 alone"
    assert curve_title("joint", 0) == "Level 0 together with the others"
    assert curve_title("encoder", None) == "encoder"
