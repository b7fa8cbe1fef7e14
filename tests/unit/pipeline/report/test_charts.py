"""Charts: round ticks, honest thinning, lines where their numbers are."""

import math

import pytest

from pipeline.report.charts import chart, short, thin, ticks
from pipeline.report.contents import Curves


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.97, 0.9912, [0.97, 0.975, 0.98, 0.985, 0.99, 0.995]),
        (0, 100000, [0, 20000, 40000, 60000, 80000, 100000]),
        (-3, 7, [-4, -2, 0, 2, 4, 6, 8]),
    ],
)
def test_ticks_are_round_and_enclose(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high, 5) == pytest.approx(expected)


def test_a_constant_still_has_an_axis() -> None:
    assert min(ticks(2, 2, 5)) < 2 < max(ticks(2, 2, 5))
    assert min(ticks(0, 0, 5)) < 0 < max(ticks(0, 0, 5))


def test_thinning_averages_and_drops_what_is_not_finite() -> None:
    points = [(float(i), float(i % 2)) for i in range(1000)] + [(5.0, math.nan), (math.inf, 1.0)]
    thinned = thin(points, 100)
    assert len(thinned) == 100
    assert all(y == pytest.approx(0.5) for _, y in thinned)
    assert thin([(2, 1), (1, 3)]) == [(1, 3), (2, 1)]


def test_the_line_goes_where_the_numbers_go() -> None:
    drawn = chart(Curves("Loss <0>", {"loss_d": [(0, 1.0), (50, 0.5), (100, 0.0)]}))
    assert drawn is not None
    (line,) = drawn.lines
    points = [tuple(map(float, pair.split(","))) for pair in line.points.split()]
    xs, ys = zip(*points, strict=True)
    assert list(xs) == sorted(xs) and list(ys) == sorted(ys)  # SVG's y grows downwards
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1])
    assert ys[1] - ys[0] == pytest.approx(ys[2] - ys[1])
    assert drawn.said == "Loss <0>: loss_d ends at 0"


def test_a_tick_stands_where_its_number_is_drawn() -> None:
    drawn = chart(Curves("Loss", {"loss_d": [(0, 0.0), (100, 1.0)]}))
    assert drawn is not None
    first, last = [tuple(map(float, pair.split(","))) for pair in drawn.lines[0].points.split()]
    at = {tick.text: round(tick.at, 1) for tick in drawn.x_ticks}
    assert (at["0"], at["100"]) == (first[0], last[0]) == (drawn.left, drawn.right)
    at = {tick.text: round(tick.at, 1) for tick in drawn.y_ticks}
    assert (at["0"], at["1"]) == (first[1], last[1])
    assert at["0"] == drawn.bottom and 0 < at["1"] < drawn.bottom


def test_series_that_cannot_be_drawn() -> None:
    assert chart(Curves("Empty", {"a": [], "b": [(1, 2)]})) is None
    assert chart(Curves("Never finite", {"a": [(1, math.nan), (2, math.inf)]})) is None
    drawn = chart(Curves("One", {"a": [], "b": [(1, 2), (2, 3)]}))
    assert drawn is not None and [line.name for line in drawn.lines] == ["b"]


def test_numbers_are_short() -> None:
    assert [short(v) for v in (0.000123456, 12.0, 1500, 2_000_000)] == [
        "0.0001235", "12", "1.5k", "2M"]  # fmt: skip
