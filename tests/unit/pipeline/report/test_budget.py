"""Contributions of the inputs, from scores."""

from dataclasses import replace
from pathlib import Path

from pipeline.report.budget import Contribution, budget
from pipeline.report.contents import ReportData
from pipeline.report.pages import write_report
from pipeline.scores.naming import scored
from pipeline.scores.score import Score

BITS = (("y", 3.0), ("z_1", 6.0), ("z_0", 3.0))
SCORES = [
    *(scored("entropy", value, varies=name) for name, value in BITS),
    scored("entropy_level", 20.0, level=1),
    scored("variance", 0.25, varies="y", space="pixels"),
]


def test_rows_in_the_order_of_the_method() -> None:
    assert budget(SCORES) == [
        Contribution("y", 3.0, 25.0, None, 0.25),
        Contribution("z_1", 6.0, 50.0, 20.0, None),
        Contribution("z_0", 3.0, 25.0, None, None),
    ]


def test_a_bound_below_zero_is_no_bar_to_the_left() -> None:
    below = [scored("entropy", -0.2, varies="z_0"), scored("entropy", 2.0, varies="y")]
    assert [(row.bits, row.width) for row in budget(below)] == [(0.0, 0.0), (2.0, 100.0)]


def test_without_entropy_there_is_no_section(data: ReportData, tmp_path: Path) -> None:
    assert budget([]) == []
    said = "Where an image's entropy comes from"

    def page(scores: list[Score]) -> str:
        shown = replace(data, scores=[*data.scores, *scores])
        return write_report(tmp_path / "report.html", shown).read_text("utf-8")

    assert said not in page([]) and said in page(SCORES)
    assert "12.0 in all" in page(SCORES) and '<td class="num">20.0</td>' in page(SCORES)
