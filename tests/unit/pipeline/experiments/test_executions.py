"""Executions in a real MLflow database: found by what people call them, read back whole."""

from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from pipeline.errors import UserError
from pipeline.experiments.executions import Executions, load_runs
from pipeline.report.contents import ReportData
from pipeline.report.record import Facts, StageFact, read_stages, write_record
from pipeline.tracking.lineage import Lineage
from pipeline.tracking.tracker import Tracker


def line(name: str) -> Lineage:
    """The lineage of a DVC experiment."""
    return Lineage(name, name, "0123456789abcdef", True, name, f"digest of {name}", "clone")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, scored: ReportData, recorded: Facts) -> Path:
    """One execution that was evaluated, one whose evaluation ended before its files were there, and
    one that ended before its evaluation."""
    root = tmp_path_factory.mktemp("executions")
    tracker = Tracker(root)
    for name in ("full-s1", "no-entropy-s1"):
        with tracker.stage(line(name), "levels") as levels:
            with levels.child("levels/level0", f"key of {name}") as part:
                points = [("level0/loss_g_adv", 1 / n, n) for n in (1, 2)]
                part.log_metrics([*points, ("level0/loss_g", 9.0, 1), ("speed", 1.0, 1)])
        with tracker.stage(line(name), "evaluate", {"joint": {"seed": 1}}) as run:
            run.log_metrics([("gan_test", 0.9, 0), ("gan_test_real", 0.99, 0)])
            if name == "full-s1":
                folder = root / "evaluate"
                stages = [
                    StageFact("levels", 2.0, run_id=levels.run_id),
                    StageFact("level0", 1.0, part_of="levels", run_id=part.run_id, link="old"),
                    StageFact("joint", None),
                ]
                write_record(folder, scored.scores, [], stages, recorded)
                (folder / "samples.png").touch()
                run.log_artifacts(folder, "evaluate")
        tracker.finish_parent(line(name))
    with tracker.stage(line("killed"), "levels"):
        pass
    return root


@pytest.fixture
def runs(root: Path) -> Executions:
    """The executions of that database."""
    return Executions(root)


def test_one_is_found_by_name_id_and_beginning(runs: Executions) -> None:
    assert [one.title for one in runs.all] == ["no-entropy-s1", "full-s1"]
    full = runs.all[1]
    for text in ("full-s1", full.evaluate.info.run_id, full.parent, "full", full.parent[:8]):
        assert runs.find(text) is full


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("killed", "'killed' in sqlite:.* was never evaluated; finish it with `dvc repro`"),
        ("ful", "neither a path nor in .*; nearest: full-s1"),
        ("zzzz", "neither a path nor in .*; newest: no-entropy-s1, full-s1"),
    ],
)
def test_an_unknown_one_names_the_nearest(runs: Executions, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        runs.find(text)


def test_a_beginning_of_several_is_refused(runs: Executions) -> None:
    runs.all = [replace(one, names=(*one.names, f"common-{one.title}")) for one in runs.all]
    with pytest.raises(UserError, match="several begin so: full-s1, no-entropy-s1"):
        runs.find("common")


def test_an_execution_is_read_back_with_its_files(
    runs: Executions, root: Path, scored: ReportData, tmp_path: Path
) -> None:
    found = runs.report("full-s1", tmp_path)
    assert (found.title, found.revision) == ("full-s1", "0123456789 (dirty)")
    assert found.scores == scored.scores and found.headline == scored.headline
    assert found.params == {"joint": {"seed": "1"}}
    assert [figure.title for figure in found.figures] == ["Samples"]
    recorded = read_stages(root / "evaluate")
    assert [replace(fact, link="") for fact in found.stages] == [
        replace(fact, link="") for fact in recorded
    ]
    *made, joint = found.stages
    assert all(fact.link.endswith(f"/runs/{fact.run_id}") for fact in made)
    assert joint.link == ""
    (curves,) = found.curves
    assert (curves.title, curves.level) == ("Level 0 alone", 0)
    assert curves.series == {"loss_g_adv": [(1, 1), (2, 0.5)]}  # not the sum, not the speed


def test_scores_without_files_are_no_evaluation(runs: Executions, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has scores of it but no files; .* run `dvc repro`"):
        runs.report("no-entropy-s1", tmp_path)


def test_runs_and_files_are_loaded_together_with_titles_of_their_own(
    root: Path, evaluated: Path, tmp_path: Path
) -> None:
    found = load_runs([str(evaluated), "full-s1", "full-s1"], root, tmp_path / "downloads")
    assert [run.title for run in found] == ["mine", "full-s1", "full-s1 (2)"]


def test_files_need_no_mlflow(evaluated: Path, tmp_path: Path) -> None:
    load_runs([str(evaluated)], tmp_path / "nowhere", tmp_path)
    assert not (tmp_path / "nowhere").exists()


def test_a_project_without_evaluations_says_so(tmp_path: Path, root: Path) -> None:
    runs = Executions(root)
    runs.all, runs.unfinished = [], []
    with pytest.raises(UserError, match=r"no execution in .* was evaluated yet"):
        runs.find("anything")


def test_curves_are_read_where_they_are_wanted_and_those_of_a_purged_run_are_left_out(
    runs: Executions, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def purged(run_id: str) -> None:
        raise MlflowException(f"Run {run_id} not found", RESOURCE_DOES_NOT_EXIST)

    monkeypatch.setattr(runs._tracker.client, "get_run", purged)
    assert runs.report("full-s1", tmp_path / "a").curves == []
    monkeypatch.setattr(Executions, "_curves", lambda *_: pytest.fail("nobody draws them"))
    (found,) = load_runs(["full-s1"], root, tmp_path / "b", curves=False)
    assert found.curves == [] and found.scores
