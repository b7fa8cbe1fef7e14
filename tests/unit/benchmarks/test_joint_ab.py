"""The table of paired stacks: differences by seed, and how sure they are."""

from typing import Any

import pytest

from benchmarks import joint_ab
from benchmarks.joint_ab import ALONE, table
from benchmarks.judged import SHOWN


def row(variant: str, seed: int, fid: float) -> dict:
    return {"variant": variant, "seed": seed, "values": dict.fromkeys(SHOWN, 0.5) | {SHOWN[0]: fid}}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_steady_gain_is_told_from_one_of_chance() -> None:
    alone = [row(ALONE, seed, fid) for seed, fid in enumerate((0.30, 0.20, 0.25, 0.28, 0.22))]
    steady = [row("joint", r["seed"], r["values"][SHOWN[0]] - 0.02) for r in alone]
    steady[0]["values"][SHOWN[0]] -= 0.001
    chance = [row("constant rates", seed, 0.25 + 0.1 * (-1) ** seed) for seed in range(5)]
    _, _, first, gain, other = table([*alone, *steady, *chance]).splitlines()
    assert cells(first)[-2:] == ["", ""]
    assert cells(gain)[-2].startswith("-0.020 ± ") and cells(gain)[-1] == "< 0.001"
    assert float(cells(other)[-1]) > 0.05


def test_what_has_no_pair_has_no_difference() -> None:
    lines = table([row(ALONE, 1, 0.2), row("joint", 2, 0.1)]).splitlines()
    assert cells(lines[-1])[:2] == ["joint", "1"] and cells(lines[-1])[-2:] == ["", ""]
    assert table([row("joint", 1, 0.1)]).count("\n") == 2
    assert cells(table([row(ALONE, 1, 0.2), row("joint", 1, 0.1)]).splitlines()[-1])[-1] == ""


@pytest.mark.parametrize("variant", [ALONE, "joint"])
def test_a_row_shows_mean_and_spread(variant: str) -> None:
    line = table([row(variant, 1, 0.1), row(variant, 2, 0.3)]).splitlines()[-1]
    assert cells(line)[1:3] == ["2", "0.200 ± 0.141"]


@pytest.mark.parametrize("images", [["100"], ["100", "200", "300"]])
def test_as_many_numbers_of_images_as_levels_are_needed(
    images: list[str], of_levels: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    of_levels(joint_ab, {0: None, 1: None})
    with pytest.raises(SystemExit):
        joint_ab.main(["--images", *images])
    assert "--images takes 2 numbers, for level 0 and up" in capsys.readouterr().err
