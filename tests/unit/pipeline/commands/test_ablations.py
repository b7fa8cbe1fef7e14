"""`sgan ablations` as a person types it: what is refused before anything is queued."""

from pathlib import Path

import pytest

from pipeline.cli import main, parser


def test_the_command_is_part_of_the_command_line() -> None:
    parsed = parser().parse_args(["ablations", "--seeds", "4", "5", "--only", "full"])
    assert (parsed.data, parsed.budget, parsed.seeds) == ("mnist", "ablation", [4, 5])
    assert (parsed.only, parsed.jobs, parsed.collect) == (["full"], 1, False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seeds", "1", "1"], "--seeds 1 1: give each once"),
        (["--jobs", "0"], "--jobs 0: must be at least 1"),
        (["--out", "table.txt"], "--out table.txt: must end in .md"),
    ],
)
def test_what_cannot_be_is_one_line_and_nothing_is_written(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ablations", *arguments]) == 2
    assert capsys.readouterr().err == f"error: {said}\n"
    assert list(Path.cwd().iterdir()) == []
