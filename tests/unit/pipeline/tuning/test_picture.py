"""The picture of a search."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from pipeline.tuning.picture import coordinates, draw, kind_of

SVG = "{http://www.w3.org/2000/svg}"


def test_axes_are_what_was_searched_and_the_distance_best_at_the_top(ended):
    axes, lines = coordinates(ended)
    assert [axis.name for axis in axes] == ["d_init", "lr_g", "z_dim", "Fréchet distance"]
    assert (axes[1].low, axes[1].high) == ("1e-05", "0.001")
    assert (axes[3].low, axes[3].high) == ("1", "0.1")
    assert [line.number for line in lines] == [2, 0, 1]  # no line for what was never measured
    ends = {line.number: float(line.points.rpartition(",")[2]) for line in lines}
    assert ends[2] < ends[1] < ends[0]


def test_the_best_the_present_and_the_lost_are_told_apart(ended):
    assert [kind_of(ended, one) for one in ended.tried] == ["present", "best", "lost", "lost"]
    assert kind_of(replace(ended, best=0), ended.tried[1]) == "other"


def test_the_file_is_an_svg_with_a_curve_and_a_line_for_each_trial_measured(ended, tmp_path):
    draw(ended, tmp_path / "level1.svg")
    root = ElementTree.parse(tmp_path / "level1.svg").getroot()
    titles = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert titles[0] == "Search of level 1: 4 trials, the best is trial 1"
    assert sum(title.startswith("trial 1") for title in titles) == 2
    assert any("lr_g 0.0004" in title and "0.2" in title for title in titles)


@pytest.mark.parametrize("looks", [0, 1])
def test_a_search_that_hardly_began_has_a_picture_too(ended, tmp_path, looks):
    tried = tuple(replace(one, looks=one.looks[:looks]) for one in ended.tried)
    draw(replace(ended, tried=tried, best=None), tmp_path / "level1.svg")
    assert "no trial was looked at twice" in (tmp_path / "level1.svg").read_text()
