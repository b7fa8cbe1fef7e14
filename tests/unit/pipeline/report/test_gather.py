"""A project's files as a page's contents: curves by level, the paper's row, what is missing."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import paths
from pipeline.errors import UserError
from pipeline.report.contents import ReportData
from pipeline.report.gather import PAPER, build_report, curves_in, evaluated
from pipeline.report.record import SCORES, Facts, write_record
from pipeline.scores.score import Score

FACTS = Facts(
    "mnist", 60_000, "ab" * 32, "0123456789", "full-s1", "a note", {"a": {"b": 1}}, {"form": "idx"}
)


def left(root: Path, data: ReportData) -> Path:
    """A project as evaluate leaves it."""
    folder = root / paths.EVALUATE
    before = [replace(data.scores[0], value=0.9)]
    write_record(folder, data.scores, before, data.stages, FACTS)
    (folder / "samples.png").touch()
    return root


def test_it_is_all_there(data: ReportData, tmp_path: Path) -> None:
    found = build_report(left(tmp_path, data), evaluated(tmp_path))
    assert (found.title, found.revision) == ("SGAN on mnist", "0123456789")
    assert found.scores == data.scores and found.headline == ["gan_test", "fid_judge_10k"]
    assert found.previous == [replace(data.scores[0], value=0.9)]
    assert [figure.title for figure in found.figures] == ["Samples"]
    assert [stage.name for stage in found.stages] == ["prepare", "levels", "level0", "joint"]
    assert found.params == {"a": {"b": 1}} and found.links_note == "a note"
    assert found.found == {"form": "idx"}
    assert found.facts == {
        "data": "mnist, 60,000 training images",
        "data digest": "ab" * 8,
        "execution": "full-s1",
    }


def test_without_an_evaluation_it_says_what_to_do(data: ReportData, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing was evaluated yet; run `dvc repro`"):
        evaluated(tmp_path)
    left(tmp_path, data)
    (tmp_path / paths.EVALUATE / SCORES).write_text("{")
    with pytest.raises(UserError, match=r"scores.json: not the scores of an evaluation"):
        build_report(tmp_path, FACTS)
    (tmp_path / paths.EVALUATE / SCORES).unlink()
    with pytest.raises(UserError, match=r"scores.json does not exist; run `dvc repro`"):
        build_report(tmp_path, FACTS)


def test_the_paper_s_table_has_our_row_where_data_and_judge_are_the_same(
    data: ReportData, tmp_path: Path
) -> None:
    mnist = build_report(left(tmp_path / "a", data), FACTS)
    assert mnist.published == PAPER and "none for mnist" in mnist.published_caption
    cifar = replace(FACTS, data="cifar10")
    inception = Score("IS (Inception, 10k)", "is_10k", 8.1, metric="is", judge="Inception")
    judged = Score("IS (judge CNN, 10k)", "is_judge_10k", 9.1, metric="is", judge="judge CNN")
    measured = replace(data, scores=[judged, inception])
    keys = [
        build_report(left(tmp_path / name, run), cifar).published[0].key
        for name, run in (("b", measured), ("c", replace(data, scores=[judged])))
    ]
    assert keys == ["is_10k", "is_50k"]


def test_plots_become_charts_by_level(tmp_path: Path) -> None:
    (tmp_path / "levels").mkdir()
    (tmp_path / "encoder.csv").write_text("images_seen,encoder/loss\n10,2\n20,1\n")
    (tmp_path / "levels" / "level1.csv").write_text("images_seen,loss_d,loss_g_adv\n10,9,0.5\n")
    (tmp_path / "joint.csv").write_text(
        "images_seen,level0/loss_g_adv,level1/loss_g_adv\n10,1,2\n20,,3\n"
    )
    charts = {curves.title: curves for curves in curves_in(tmp_path)}
    assert list(charts) == [
        "encoder",
        "Level 1 alone",
        "Level 0 together with the others",
        "Level 1 together with the others",
    ]
    assert charts["encoder"].level is None
    assert charts["encoder"].series == {"loss": [(10, 2), (20, 1)]}
    assert charts["Level 1 alone"].series == {"loss_g_adv": [(10, 0.5)]}  # no sum of losses
    assert charts["Level 0 together with the others"].series == {"loss_g_adv": [(10, 1)]}
    assert charts["Level 1 together with the others"].level == 1


def test_no_plots_are_no_charts(tmp_path: Path) -> None:
    assert curves_in(tmp_path / "nowhere") == []
