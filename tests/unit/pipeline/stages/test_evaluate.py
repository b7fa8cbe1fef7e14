"""The evaluate stage as MLflow sees it."""

from pathlib import Path

import mlflow
import pytest

from pipeline.stages import evaluate
from sgan.errors import WeightsError


def test_an_evaluate_that_fails_is_seen_as_failed(project: Path) -> None:
    with pytest.raises(WeightsError, match=r"stack\.safetensors: no such weights file"):
        evaluate.run()
    client = mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
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
    prepared = runs["prepare"]
    told = (prepared.info.end_time - prepared.info.start_time) / 1000
    rounded = 0.05
    assert told >= prepared.data.metrics["prepare/seconds"] - rounded  # not just the time to log it
