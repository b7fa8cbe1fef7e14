"""The evaluate stage as MLflow sees it, and what it leaves for the report."""

from pathlib import Path

import mlflow
import pytest

from pipeline import paths
from pipeline.errors import UserError
from pipeline.execution.stage import opened
from pipeline.report.record import PREVIOUS, SCORES, read_facts, read_scores, read_stages
from pipeline.scores.score import Score
from pipeline.stages import evaluate


def test_an_evaluate_that_fails_is_seen_as_failed(project_here: Path) -> None:
    with pytest.raises(UserError, match=r"stack\.safetensors does not exist; run `dvc repro`"):
        evaluate.main()
    client = mlflow.MlflowClient(f"sqlite:///{project_here / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'sgan'")
    runs = {
        run.data.tags.get("sgan.stage", "parent"): run
        for run in client.search_runs([experiment.experiment_id])
    }
    assert {name: run.info.status for name, run in runs.items()} == {
        "prepare": "FINISHED",
        "evaluate": "FAILED",
        "parent": "FAILED",
    }
    # A project without conf/ knows no defaults, and one without git has no revision.
    assert runs["evaluate"].info.run_name == "evaluate · nogit"
    prepared = runs["prepare"]
    told = (prepared.info.end_time - prepared.info.start_time) / 1000
    rounded = 0.05
    assert told >= prepared.data.metrics["prepare/seconds"] - rounded  # not just the time to log it


def test_each_evaluation_leaves_the_scores_of_the_one_before(project: Path) -> None:
    folder = project / paths.EVALUATE
    for value, before in ((0.8, []), (0.9, [0.8])):
        with opened("evaluate") as stage, stage.run(None) as run:
            scores = [Score("GAN-test", "gan_test", value)]
            evaluate.record(stage, run, scores)
            evaluate.keep(stage, scores)
            execution, address = stage.lineage.name, stage.tracker.run_page(run.run_id)
        assert [score.value for score in read_scores(folder / SCORES)] == [value]
        assert [score.value for score in read_scores(folder / PREVIOUS)] == before
    facts = read_facts(folder)
    assert facts is not None
    assert (facts.data, facts.train_images, facts.execution) == ("custom", 2000, execution)
    assert facts.params["data"]["source"].endswith("mnist-small")
    assert (facts.found["form"], facts.found["images_read"]) == ("idx", 2500)
    stages = read_stages(folder)
    assert [stage.name for stage in stages][-2:] == ["joint", "evaluate"]
    assert stages[-1].link == address


def test_an_evaluation_that_failed_at_its_end_is_not_the_last_one(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise UserError("MLflow is away")

    scores = [Score("GAN-test", "gan_test", 0.8), Score("Diversity", "diversity", 0.9)]
    monkeypatch.setattr(evaluate, "file_bundle", lambda *_: None)
    monkeypatch.setattr(evaluate, "scored", lambda *_: scores)
    monkeypatch.setattr(evaluate, "model_card", lambda *_: "")
    monkeypatch.setattr(evaluate, "register", away)
    with pytest.raises(UserError, match="MLflow is away"):
        evaluate.main()
    monkeypatch.setattr(evaluate, "register", lambda *_: None)
    for before in ([], [0.8, 0.9]):
        evaluate.main()
        found = read_scores(project / paths.EVALUATE / PREVIOUS)
        assert [score.value for score in found] == before


def test_scores_of_another_version_are_no_last_ones(project: Path) -> None:
    with opened("evaluate") as stage, stage.run(None) as run:
        stage.kept("last_scores.json").parent.mkdir(exist_ok=True)
        stage.kept("last_scores.json").write_text('[{"label": "GAN-test"}]')
        evaluate.record(stage, run, [Score("GAN-test", "gan_test", 0.8)])
    assert read_scores(project / paths.EVALUATE / PREVIOUS) == []
