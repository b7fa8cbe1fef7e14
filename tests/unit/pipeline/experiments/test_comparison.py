"""Evaluations from files: whatever is known of them, and nothing made up."""

import shutil
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.experiments.comparison import from_file, nested, scores_file
from pipeline.report.contents import ReportData
from pipeline.report.record import StageFact


def test_scores_of_a_real_evaluation_read_back(scored: ReportData) -> None:
    assert [s.key for s in scored.scores][:3] == ["gan_test", "is_judge_10k", "fid_judge_10k"]
    assert scored.scores[0].text() == "0.998 (real: 0.992)"
    assert scored.headline[:3] == ["gan_test", "fid_judge_10k", "diversity_pixels"]
    assert (scored.title, scored.revision, scored.params) == ("commands", "a file", {})
    assert (scored.stages, scored.figures) == ([], [])


def test_a_project_s_scores_come_with_what_they_were_made_with(evaluated: Path) -> None:
    (evaluated.parents[1] / "params.yaml").write_text("encoder: {seed: 2}  # edited since")
    run = from_file(evaluated / "scores.json")
    assert (run.title, run.revision) == ("mine", "0123456789 (dirty)")
    assert run.params == {"encoder": {"seed": 1}}
    assert run.stages == [
        StageFact("prepare", 2.5, []),
        StageFact("joint", None, ["prepare"], run_id="a"),
    ]
    assert [figure.image for figure in run.figures] == [evaluated / "samples.png"]
    assert run.links_note == "a note"


def test_a_folder_elsewhere_is_known_by_its_name(scores_json: Path, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    shutil.copy(scores_json, folder / "scores.json")
    assert from_file(folder / "scores.json").title == "theirs"


def test_a_path_a_folder_and_a_project_mean_the_same_file(evaluated: Path) -> None:
    file = evaluated / "scores.json"
    assert {scores_file(path) for path in (file, evaluated, evaluated.parents[1])} == {file}
    assert scores_file(evaluated.parent) is None
    assert scores_file(evaluated / "no such name") is None


def test_other_files_are_refused_in_a_line(evaluated: Path) -> None:
    (evaluated / "stages.json").write_text('[{"stage": "prepare"}]')
    with pytest.raises(UserError, match=r"stages.json: not the stages of an evaluation"):
        from_file(evaluated / "scores.json")
    (evaluated / "scores.json").write_text("{}")
    with pytest.raises(UserError, match=r"scores.json: no list of scores"):
        from_file(evaluated / "scores.json")


def test_mlflow_s_flat_parameters_become_a_tree() -> None:
    assert nested({"levels.1.lr": "0.5", "levels.0.lr": "1", "seed": "2"}) == {
        "levels": {"0": {"lr": "1"}, "1": {"lr": "0.5"}},
        "seed": "2",
    }
