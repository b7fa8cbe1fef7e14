"""Which trainings are left, and the table and the picture of the rows that are kept."""

import json
from pathlib import Path
from typing import Any

from benchmarks.time_to_quality import main, missing, plot, rows_of, table, trainings


def row(method: str, seed: int, minutes: float, fid: float) -> dict[str, Any]:
    values = {"fid": fid, "gan_test": 0.9, "recall": 0.8, "diversity": 0.7}
    real = {"fid": 0.03, "gan_test": 0.992, "recall": 0.956, "diversity": None}
    return {
        "method": method,
        "seed": seed,
        "minutes": minutes,
        "samples": 100,
        "values": values,
        "real": real,
    }


def keep(folder: Path, *rows: dict[str, Any]) -> Path:
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return file


def test_what_has_a_row_is_not_trained_again(tmp_path: Path) -> None:
    file = keep(tmp_path, row("stack", 1, 1.0, 2.0), row("stack", 2, 2.0, 1.0))
    rows = rows_of(file, 100)
    assert missing(rows, "stack", 1, [4.0, 1.0, 2.0]) == [2.0, 4.0]
    assert missing(rows, "dcgan", 1, [1.0]) == [1.0]
    assert missing(rows_of(file, 99), "stack", 1, [1.0]) == [1.0]  # judged on other samples
    assert rows_of(tmp_path / "none", 100) == []


def test_a_schedule_needs_a_training_for_each_time_and_snapshots_one_for_all() -> None:
    assert trainings("stack", [1.0, 2.0]) == [[1.0], [2.0]]
    assert trainings("dcgan", [1.0, 2.0]) == [[1.0, 2.0]]
    assert trainings("dcgan", []) == []


def test_the_table_has_the_mean_over_seeds(tmp_path: Path) -> None:
    text = table([row("stack", 1, 1.0, 2.0), row("stack", 2, 1.0, 4.0), row("dcgan", 1, 1.0, 8.0)])
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert lines[2][1:5] == ["1", "2", "3.000 ± 1.414", "0.900 ± 0.000"]
    assert lines[3][1:4] == ["1", "1", "8.000"]
    assert lines[4][3:] == ["0.030", "0.992", "0.956", ""]
    assert len({len(line) for line in lines}) == 1


def test_without_minutes_table_and_picture_are_made_of_what_is_there(tmp_path: Path) -> None:
    keep(tmp_path, row("stack", 1, 1.0, 2.0), row("stack", 1, 2.0, 1.0), row("dcgan", 1, 1.0, 8.0))
    rows = main(["--minutes", "--samples", "100", "--out", str(tmp_path)])
    assert len(rows) == 3
    assert (tmp_path / "table.md").read_text() == table(rows) + "\n"
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_may_hold_one_row(tmp_path: Path) -> None:
    plot([row("dcgan", 1, 1.0, 8.0)], tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 1000
