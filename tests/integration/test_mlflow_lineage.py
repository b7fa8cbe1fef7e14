"""What a real `dvc repro` leaves in MLflow: one tree of runs that says what was made from what."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from pipeline.stages import ORDER
from pipeline.tracking.run import flatten

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

STAGES = [name for name in ORDER if name != "promote"]  # which is off


@pytest.fixture(scope="module")
def parent(trained):
    (run,) = trained.runs(role="parent")
    return run


@pytest.fixture(scope="module")
def stages(trained, parent):
    """Stage name -> its run."""
    runs = trained.runs(role="stage")
    assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {parent.info.run_id}
    return {run.data.tags["sgan.stage"]: run for run in runs}


@pytest.fixture(scope="module")
def levels(trained, stages):
    """Level name -> its run."""
    runs = trained.runs(role="part")
    above = stages["levels"].info.run_id
    assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {above}
    return {run.data.tags["sgan.part"].removeprefix("levels/"): run for run in runs}


def test_a_run_for_each_stage_and_level_and_no_other(trained, parent, stages, levels):
    assert list(stages) == STAGES
    assert set(levels) == {"level0", "level1"}
    everything = [parent, *stages.values(), *levels.values()]
    assert {run.info.status for run in everything} == {"FINISHED"}
    experiment = parent.info.experiment_id
    assert len(trained.mlflow().search_runs([experiment])) == len(everything)


def test_tags_say_which_code_data_and_part(trained, parent, stages, levels):
    command = ["git", "-C", str(trained.root), "rev-parse", "HEAD"]
    revision = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    for run in [parent, *stages.values(), *levels.values()]:
        assert run.data.tags["sgan.git_revision"] == revision
        assert run.data.tags["sgan.git_dirty"] == "false"
        assert run.data.tags["sgan.lineage"] == parent.data.tags["sgan.lineage"]
    digests = {name: run.data.tags["sgan.data_digest"] for name, run in stages.items()}
    assert set(digests) == set(STAGES)
    assert len(set(digests.values())) == 1
    assert len(digests["prepare"]) == 64
    assert {name: run.data.tags["sgan.dvc_stage"] for name, run in stages.items()} == {
        name: name for name in STAGES
    }
    parts = {"encoder": stages["encoder"], "joint": stages["joint"], **levels}
    for name, run in parts.items():
        assert {run.data.tags["sgan.part_key"]} == trained.keys(name)
        assert "sgan.reused" not in run.data.tags


@pytest.mark.parametrize(
    ("part", "metric", "images"),
    [
        ("encoder", "encoder/loss", 20_000),
        ("level0", "level0/loss_g_adv", 4800),
        ("level1", "level1/loss_g_adv", 50_000),
        ("joint", "level0/loss_g_adv", 1500),
    ],
)
def test_step_metrics_reach_the_last_image(trained, stages, levels, part, metric, images):
    run = {**stages, **levels}[part]
    history = trained.mlflow().get_metric_history(run.info.run_id, metric)
    steps = [point.step for point in history]
    assert steps == sorted(set(steps))
    assert len(steps) >= 2
    assert steps[-1] == images
    speeds = trained.mlflow().get_metric_history(run.info.run_id, f"{part}/images_per_second")
    assert max(point.value for point in speeds) > 10


def test_levels_keep_their_own_settings(levels):
    for name, other, z_dim in (("level0", "level1", "50"), ("level1", "level0", "100")):
        params = levels[name].data.params
        assert params[f"{name}.z_dim"] == z_dim
        assert not any(key.startswith(other) for key in params)


def test_evaluate_carries_every_parameter_and_every_score(trained, stages, parent):
    params = yaml.safe_load((trained.root / "params.yaml").read_text())
    scores = json.loads((trained.root / "metrics/evaluate.json").read_text())
    run = stages["evaluate"]
    del params["tune"]  # `sgan tune` alone reads it
    assert run.data.params == flatten(params)
    assert run.data.params["levels.1.lambda_ent"] == "10.0"
    assert run.data.metrics.keys() >= scores.keys()
    assert run.data.metrics["gan_test"] == pytest.approx(scores["gan_test"])
    assert parent.data.metrics["gan_test"] == pytest.approx(scores["gan_test"])


def test_weights_and_pictures_are_kept_with_the_runs(trained, stages, levels):
    client = trained.mlflow()

    def files(run, folder: str) -> set[str]:
        return {entry.path for entry in client.list_artifacts(run.info.run_id, folder)}

    assert files(stages["encoder"], "weights") == {"weights/encoder.safetensors"}
    assert files(levels["level1"], "weights") == {"weights/level1.safetensors"}
    assert files(stages["joint"], "weights") == {"weights/stack.safetensors"}
    pictures = files(stages["evaluate"], "evaluate")
    assert {"evaluate/samples.png", "evaluate/scores.json", "evaluate/stages.json"} <= pictures
    assert files(stages["report"], "report") == {"report/report.html"}


def test_the_report_knows_the_time_and_the_run_of_everything(trained, stages, levels):
    folder = trained.root / "artifacts/evaluate"
    facts = {fact["name"]: fact for fact in json.loads((folder / "stages.json").read_text())}
    runs = {**stages, **levels}
    own = runs.pop("report").info.run_id
    assert set(facts) == set(runs)
    page = (trained.root / "artifacts/report/report.html").read_text()
    assert page.count(f"/runs/{own}") == 2  # in both drawings
    for name, fact in facts.items():
        run = runs[name].info
        assert fact["run_id"] == run.run_id
        address = f"http://127.0.0.1:5000/#/experiments/{run.experiment_id}/runs/{run.run_id}"
        assert f'<a href="{address}"' in page
        assert 0 <= fact["seconds"] <= (run.end_time - run.start_time) / 1000 + 1
        assert fact["status"] == ""
    assert {name: facts[name]["needs"] for name in ("levels", "evaluate", "level0")} == {
        "levels": ["features"],
        "evaluate": ["joint"],
        "level0": [],
    }


def test_the_logged_model_draws_what_is_asked_for(trained, stages):
    """The model as MLflow serves it, loaded from the run's files."""
    import mlflow
    import pandas as pd

    (output,) = stages["evaluate"].outputs.model_outputs
    model = trained.mlflow().get_logged_model(output.model_id)
    served = mlflow.pyfunc.load_model(model.artifact_location)
    asked = pd.DataFrame({"label": [3, 3, 7], "seed": [1, 1, 1]})
    images = served.predict(asked)
    assert (images.shape, images.dtype) == ((3, 28, 28, 1), "uint8")
    assert (images[0] == images[1]).all()
    assert (images[0] != images[2]).any()


def test_runs_are_linked_downwards_too(parent, stages, levels):
    assert {n: r.info.run_id for n, r in stages.items()} == {
        name: parent.data.tags[f"sgan.run.{name}"] for name in stages
    }
    for name, run in levels.items():
        assert stages["levels"].data.tags[f"sgan.run.levels/{name}"] == run.info.run_id
        assert run.info.run_id in stages["levels"].data.tags["mlflow.note.content"]


@pytest.mark.parametrize(
    ("part", "key", "last"),
    [
        ("level0", "samples", 4800),
        ("level1", "features", 50_000),
        ("joint", "samples", 1500),
    ],
)
def test_pictures_from_the_start_on_are_kept_by_step(trained, stages, levels, part, key, last):
    run = {**stages, **levels}[part]
    found = trained.mlflow().list_artifacts(run.info.run_id, "images")
    names = [file.path for file in found if file.path.endswith(".png")]
    assert {name.split("+")[0] for name in names} == {f"images/{key}"}
    steps = sorted(int(name.split("+")[2]) for name in names)
    assert len(steps) == len(set(steps)) == 11
    assert (steps[0], steps[-1]) == (0, last)


def queries() -> list[str]:
    """The README's search queries, without what is said of them."""
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    lines = [line.strip() for line in text.splitlines() if re.match(r" {4}(tags|params)\.", line)]
    return [line.partition("  #")[0] for line in lines]


def test_the_readme_s_queries_find_runs(trained, parent):
    """As they stand, but for the names and the figures of a person's own."""
    name, revision = parent.data.tags["sgan.lineage"], parent.data.tags["sgan.git_revision"]
    own = {"NAME": name, "b8e966a": revision[:7], "metrics.fid < 0.3": "metrics.fid < 1e6"}
    assert len(queries()) >= 5
    for query in queries():
        for written, here in own.items():
            query = query.replace(written, here)
        assert trained.mlflow().search_runs([parent.info.experiment_id], query), query
