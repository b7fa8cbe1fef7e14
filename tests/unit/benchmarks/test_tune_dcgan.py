"""Which settings go on, and how the tried ones are shown."""

from dataclasses import asdict

from benchmarks.dcgan import TUNED, Settings
from benchmarks.tune_dcgan import CANDIDATES, best, table


def row(fid: float, minutes: float, settings: Settings, recall: float = 0.5) -> dict:
    values = {"fid": fid, "gan_test": 0.9, "recall": recall, "diversity": 0.8}
    return {"settings": asdict(settings), "minutes": minutes, "seed": 1, "values": values}


def test_the_best_are_of_the_same_minutes_by_fid() -> None:
    rows = [row(fid, minutes, Settings()) for fid, minutes in ((3.0, 1), (1.0, 4), (2.0, 1))]
    assert [each["values"]["fid"] for each in best(rows, 1)] == [2.0, 3.0]


def test_a_collapsed_one_is_behind_all_others_however_low_its_fid() -> None:
    rows = [row(1.0, 1, Settings(), recall=0.01), row(9.0, 1, Settings(), recall=0.3)]
    assert [each["values"]["fid"] for each in best(rows, 1)] == [9.0, 1.0]


def test_the_table_names_what_differs_from_the_tutorials() -> None:
    settings = Settings(lr_g=5e-4, head="projection", ema=0.995)
    lines = table([row(2.0, 1, Settings()), row(1.0, 4, settings)]).splitlines()
    assert lines[2] == "| 4 | 1.000 | 0.900 | 0.500 | 0.800 | lr_g 0.0005, projection, ema 0.995 |"
    assert lines[3].endswith("| nothing |")


def test_candidates_are_tried_once_each_and_the_chosen_is_one_of_them() -> None:
    assert len(set(CANDIDATES)) == len(CANDIDATES)
    assert TUNED in CANDIDATES
