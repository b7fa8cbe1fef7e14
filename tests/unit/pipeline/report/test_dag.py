"""The drawing of the DAG: where boxes stand, what it tells those who cannot see it."""

from itertools import combinations

import pytest

from pipeline.report.contents import StageFact
from pipeline.report.dag import Box, dag, described, duration, placed

LINK = "https://mlflow.example/#/experiments/1/runs/a"
STAGES = [
    StageFact("prepare", 3.2),
    StageFact("features", 8, ["prepare"], "reused", LINK, "an-execution"),
    StageFact("levels", 160, ["features"]),
    *(StageFact(f"level{i}", 75, part_of="levels") for i in (3, 2, 1, 0)),
    StageFact("joint", None, ["levels"]),
]


def overlap(a: Box, b: Box) -> bool:
    return (
        a.x < b.x + b.width
        and b.x < a.x + a.width
        and a.y < b.y + b.height
        and b.y < a.y + a.height
    )


@pytest.mark.parametrize("wide", [True, False])
def test_boxes_stand_in_order_inside_the_drawing_and_apart(wide: bool) -> None:
    boxes, width, height = placed(STAGES, wide)
    assert list(boxes) == ["prepare", "features", "levels", "joint"]
    starts = [box.x if wide else box.y for box in boxes.values()]
    assert starts == sorted(set(starts))
    parts = boxes["levels"].parts
    assert [part.fact.name for part in parts] == ["level3", "level2", "level1", "level0"]
    for box in (*boxes.values(), *parts):
        assert box.x >= 0 and box.y >= 0
        assert box.x + box.width <= width and box.y + box.height <= height
    assert not any(overlap(a, b) for a, b in combinations(boxes.values(), 2))
    assert not any(overlap(a, b) for a, b in combinations(parts, 2))
    frame = boxes["levels"]
    for part in parts:
        assert frame.x < part.x and part.x + part.width < frame.x + frame.width
        assert frame.y < part.y and part.y + part.height < frame.y + frame.height
    assert wide or width < 350  # fits a phone as it is


def test_stages_that_wait_for_the_same_stand_beside_each_other() -> None:
    fork = [StageFact("a", 1), StageFact("b", 1, ["a"]), StageFact("c", 1, ["a"])]
    boxes, _, _ = placed(fork, wide=True)
    assert boxes["b"].x == boxes["c"].x and not overlap(boxes["b"], boxes["c"])
    assert dag(fork).count('class="edge"') == 2 * 2  # in both drawings


def test_what_is_drawn_is_told() -> None:
    assert described(STAGES[1]) == "features, 8.0 s, after prepare, reused"
    assert described(STAGES[3]) == "level3, 1 min 15 s, part of levels"
    drawn = dag(STAGES)
    assert drawn.count('role="group" aria-label="DAG: prepare, 3.2 s; features, 8.0 s, after') == 2
    label = 'aria-label="MLflow run of features, 8.0 s, after prepare, reused"'
    assert drawn.count(f'<a href="{LINK}" {label}>') == 2


def test_text_is_escaped_and_other_links_are_left_out() -> None:
    drawn = dag([StageFact("<b>", 1, link="javascript:alert(1)")])
    assert "<b>" not in drawn and "&lt;b&gt;" in drawn
    assert "javascript" not in drawn and "MLflow run" not in drawn


def test_a_circle_is_no_dag() -> None:
    with pytest.raises(ValueError, match="a -> b -> a"):
        dag([StageFact("a", 1, ["b"]), StageFact("b", 1, ["a"])])


def test_durations() -> None:
    assert [duration(s) for s in (0.04, 9.96, 59.6, 75, 3725)] == [
        "0.0 s", "10.0 s", "1 min 0 s", "1 min 15 s", "1 h 2 min"]  # fmt: skip
