"""The report stage: a page from what evaluate left, and MLflow's word on how it went."""

from pathlib import Path
from typing import Any

import mlflow
import pytest

from pipeline import paths
from pipeline.errors import UserError
from pipeline.report.record import Facts, StageFact, write_record
from pipeline.scores.score import Score
from pipeline.stages import report

FACTS = Facts("mnist", 2000, "ab" * 32, "0123456789", "mine", params={"joint": {"seed": 7}})


def runs_of(project: Path) -> dict[str, Any]:
    """Stage name (or "parent") -> its newest run."""
    client = mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'sgan'")
    found = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])
    return {run.data.tags.get("sgan.stage", "parent"): run for run in found}


def test_the_page_shows_every_stage_and_its_run_is_finished(project: Path) -> None:
    stages = [StageFact("prepare", 1.0), StageFact("evaluate", 12.0, ["prepare"])]
    score = Score("GAN-test (judge CNN)", "gan_test", 0.97, real=0.99)
    write_record(project / paths.EVALUATE, [score], [], stages, FACTS)
    report.main()
    page = (project / paths.REPORT_PAGE).read_text("utf-8")
    runs = runs_of(project)
    for said in ("SGAN on mnist", "0.970", "evaluate, 12 s, after prepare", "after evaluate"):
        assert said in page, said
    assert f"/runs/{runs['report'].info.run_id}" in page
    assert {runs[name].info.status for name in ("report", "parent")} == {"FINISHED"}
    assert runs["report"].data.tags["sgan.data_digest"] == FACTS.data_digest
    client = mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    (logged,) = client.list_artifacts(runs["report"].info.run_id, "report")
    assert logged.path == "report/report.html"


def test_without_an_evaluation_its_run_is_failed(project: Path) -> None:
    with pytest.raises(UserError, match="nothing was evaluated yet; run `dvc repro`"):
        report.main()
    runs = runs_of(project)
    assert {runs[name].info.status for name in ("report", "parent")} == {"FAILED"}
    assert not (project / paths.REPORT_PAGE).exists()
