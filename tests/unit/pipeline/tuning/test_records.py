"""What is kept of a search, and which trial is the best."""

import math

import pytest

from pipeline.tuning.records import FAILED, Look, Records, best, furthest, objective, read


def look(trial, images, goal, collapsed=False, final=False, failed=""):
    return Look(trial, images, goal, 0.5, goal, collapsed, final=final, failed=failed)


@pytest.mark.parametrize(
    ("frechet", "diversity", "expected"),
    [
        (0.5, 0.3, 0.5),
        (0.5, 2.0, 0.5),
        (0.5, 0.15, 0.75),
        (0.5, 0.0, 1.0),
        (math.inf, 0.5, FAILED),
        (math.nan, 0.5, FAILED),
    ],
)
def test_the_objective_is_the_distance_and_up_to_twice_that_for_what_diversity_lacks(
    frechet, diversity, expected
):
    assert objective(frechet, diversity, 0.3) == pytest.approx(expected)
    assert objective(0.5, 0.0, 0.0) == 0.5  # nothing is asked of it


def test_looks_outlive_the_process_each_once(tmp_path):
    records = Records(tmp_path / "looks.json")
    assert records.looks == []
    records.add(look(1, 200, 0.5))
    records.add(look(0, 100, 0.9))
    records.add(look(1, 100, 0.7))
    records.add(look(1, 200, 0.5))  # again, after a restart
    records.add(look(1, 200, FAILED, failed="diverged"))  # right after the look
    again = Records(tmp_path / "looks.json")
    assert again.looks == records.looks == read(tmp_path / "looks.json")
    assert [(one.images_seen, one.failed) for one in again.of(1)] == [
        (100, ""),
        (200, ""),
        (200, "diverged"),
    ]


def test_a_failure_comes_last_and_counts_wherever_it_was_told(tmp_path):
    """What goes on in another process and fails before its first look is filed at the first."""
    records = Records(tmp_path / "looks.json")
    for one in (look(1, 300, 0.5), look(1, 100, 0.7), look(1, 100, FAILED, failed="diverged")):
        records.add(one)
    assert [one.failed for one in records.of(1)] == ["", "", "diverged"]
    assert furthest(records.looks) is None
    assert furthest([*records.looks, look(2, 100, 0.9)]) == look(2, 100, 0.9)


def test_a_collapsed_trial_does_not_win_whatever_its_distance():
    sound, collapsed = look(0, 900, 0.5, final=True), look(1, 900, 0.1, True, final=True)
    assert best([collapsed, sound, look(2, 800, 0.2)]) == sound
    assert best([collapsed, look(2, 800, 0.2)]) is None


def test_where_none_ended_well_the_best_of_those_that_got_furthest_is_taken():
    looks = [
        look(0, 100, 0.1),
        look(1, 300, 0.4),
        look(2, 300, 0.3),
        look(2, 100, 0.05),
        look(3, 300, 0.2, collapsed=True),
        look(4, 900, 0.1, collapsed=True, final=True),
        look(5, 400, FAILED, collapsed=True, failed="diverged"),
    ]
    assert furthest(looks) == looks[2]
    assert furthest(looks[4:]) is None
