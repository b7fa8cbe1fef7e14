"""The drawing of the DAG: where boxes stand, what it tells those who cannot see it."""

from itertools import combinations

import pytest

from pipeline.report.dag import (
    Box,
    box_texts,
    described,
    drawings,
    duration,
    is_web,
    placed,
    total_seconds,
)
from pipeline.report.record import StageFact

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
    assert [len(drawing.arrows) for drawing in drawings(fork)] == [2, 2]


def test_what_is_drawn_is_told() -> None:
    assert described(STAGES[1]) == "features, 8.0 s, after prepare, reused"
    assert described(STAGES[3]) == "level3, 1 min 15 s, part of levels"
    assert [drawing.kind for drawing in drawings(STAGES)] == ["wide", "tall"]
    box = placed(STAGES, wide=True)[0]["features"]
    texts = box_texts(box)
    assert [text for _, text, _ in texts] == ["features", "8.0 s", "reused", "MLflow run"]
    heights = [y for _, _, y in texts]
    assert heights == sorted(heights)
    assert box.y < heights[0] and heights[-1] < box.y + box.height


def test_an_arrow_ends_at_the_box_that_waits() -> None:
    boxes, _, _ = placed(STAGES, wide=True)
    line, head = drawings(STAGES)[0].arrows[0]
    end = f"{boxes['features'].x:g},{boxes['features'].y + boxes['features'].height / 2:g}"
    assert line.endswith(f"L{end}") and head.startswith(f"M{end}")


def test_only_addresses_of_the_web_are_links() -> None:
    assert is_web(LINK) and is_web("http://127.0.0.1:5000")
    assert not any(map(is_web, ("", "javascript:alert(1)", "file:///etc/passwd", "//host")))


def test_the_time_of_parts_is_in_their_stage_s() -> None:
    assert total_seconds(STAGES) == pytest.approx(3.2 + 8 + 160)


def test_a_circle_is_no_dag() -> None:
    with pytest.raises(ValueError, match="cycle"):
        drawings([StageFact("a", 1, ["b"]), StageFact("b", 1, ["a"])])


def test_durations() -> None:
    assert [duration(s) for s in (0.04, 9.96, 59.6, 75, 3725)] == [
        "0.0 s", "10.0 s", "1 min 0 s", "1 min 15 s", "1 h 2 min"]  # fmt: skip
