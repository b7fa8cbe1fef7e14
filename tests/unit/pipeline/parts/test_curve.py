"""The training curve: means over equal stretches, the same with and without a restart."""

import json

import pytest

from pipeline.parts.curve import Curve, write_curve

BATCH, TOTAL = 10, 1000


def report(index: int) -> tuple[int, dict[str, float]]:
    """(images seen, metrics) of a step; one of the metrics comes only now and then."""
    metrics = {"loss": float(index)}
    if index % 3 == 0:
        metrics["rare"] = 2.0 * index
    return (index + 1) * BATCH, metrics


def run(curve: Curve, start: int, stop: int) -> Curve:
    for index in range(start, stop):
        curve.add(*report(index))
    return curve


def test_each_point_is_the_mean_over_its_stretch():
    rows = run(Curve(TOTAL, points=10), 0, 100).rows
    assert [row["images_seen"] for row in rows] == list(range(100, 1001, 100))
    assert rows[0]["loss"] == pytest.approx(4.5)  # steps 0 … 9
    assert rows[3]["loss"] == pytest.approx(34.5)
    assert rows[0]["rare"] == pytest.approx(9.0)  # of 0, 3, 6 and 9, doubled


def test_there_are_never_more_points_than_asked_for():
    assert len(run(Curve(TOTAL, points=10), 0, 100).rows) == 10
    assert len(run(Curve(TOTAL, points=5000), 0, 100).rows) == 100


def test_a_metric_that_was_not_seen_in_a_stretch_has_no_value_there():
    rows = run(Curve(TOTAL, points=100), 0, 4).rows
    assert [set(row) for row in rows] == [
        {"images_seen", "loss", "rare"},
        {"images_seen", "loss"},
        {"images_seen", "loss"},
        {"images_seen", "loss", "rare"},
    ]


@pytest.mark.parametrize("stop", [1, 9, 10, 33, 99])
def test_resumed_equals_uninterrupted(stop):
    whole = run(Curve(TOTAL, points=10), 0, 100)
    first = run(Curve(TOTAL, points=10), 0, stop)
    state = json.loads(json.dumps(first.state_dict()))
    resumed = Curve(TOTAL, points=10)
    resumed.load_state_dict(state)
    assert run(resumed, stop, 100).rows == whole.rows


def test_going_on_does_not_change_the_state_that_was_loaded():
    state = run(Curve(TOTAL, points=10), 0, 15).state_dict()
    kept = json.dumps(state)
    resumed = Curve(TOTAL, points=10)
    resumed.load_state_dict(state)
    run(resumed, 15, 40)
    assert json.dumps(state) == kept


def test_the_last_image_is_on_the_curve():
    """A total that the stretches do not divide."""
    curve = Curve(1005, points=10)
    for index in range(101):
        curve.add(min((index + 1) * BATCH, 1005), {"loss": 1.0})
    assert [row["images_seen"] for row in curve.rows[-2:]] == [1000, 1005]


def test_a_stored_curve_is_written_as_one_just_made(tmp_path) -> None:
    rows = [{"images_seen": 10, "loss_q": 1.0, "loss_d": 2.0}]
    write_curve(tmp_path / "made.csv", rows)
    stored = json.loads(json.dumps(rows, sort_keys=True))
    write_curve(tmp_path / "stored.csv", stored)
    assert (tmp_path / "made.csv").read_text() == (tmp_path / "stored.csv").read_text()
    assert (tmp_path / "made.csv").read_text().startswith("images_seen,")
