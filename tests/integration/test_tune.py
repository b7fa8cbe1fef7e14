"""`sgan tune` on a small real project: a search on a local Ray, killed, resumed, applied."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from pipeline.processes import is_alive
from tests.project import Project

# Each starts a Ray of its own, some twice.
pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

SPACE = {"lr_g": {"choice": [0.001, 0.0006]}}


def prepare(project: Project, images: int, **tune: Any) -> None:
    """Level 1 starts badly, with next to no learning rate; there are two better ones."""
    project.edit(
        levels={"1": {"total_images": images, "lr_g": 1e-6, "lr_d": 0.0005}},
        tune={"samples": 500, "measurements": 9, **tune},
        runtime={"checkpoint_seconds": 1.0},
    )
    project.put("tune.space.1", SPACE)


def results(project: Project) -> dict[str, float]:
    """When each finished training of level 1 ended, by key."""
    found = (project.root / ".runs/level1").glob("*/result.json")
    return {path.parent.name: path.stat().st_mtime for path in found}


def test_a_bad_start_is_improved_on_and_the_best_trial_is_the_level_of_the_next_repro(
    project, monkeypatch
):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):  # as in a shell that `make` did not start
        monkeypatch.delenv(name, raising=False)
    prepare(project, 9000, min_diversity=0.01)
    before = (project.root / "params.yaml").read_text()
    told = project.sgan("tune", "1", "--trials", "3")
    assert (project.root / "params.yaml").read_text() == before
    found = json.loads((project.root / "artifacts/tune/level1.json").read_text())
    best = found["trials"][found["best"]]
    assert best["changes"]["lr_g"] in (0.001, 0.0006)
    goals = {one["trial"]: one["looks"][-1]["frechet"] for one in found["trials"]}
    assert goals[found["best"]] < goals[0]
    assert f"Best: trial {found['best']}" in told
    # conf/ does not make this params.yaml, edited by hand: what is before -S is left open.
    assert f"dvc exp run … -S levels.1.lr_g={best['changes']['lr_g']}" in told

    (parent,) = project.runs(stage="tune", role="stage")
    trials = project.runs(stage="tune", role="part")
    assert [run.data.tags["mlflow.parentRunId"] for run in trials] == [parent.info.run_id] * 3
    assert {run.data.tags["sgan.part_key"] for run in trials} == {
        one["key"] for one in found["trials"]
    }
    for run in (parent, *trials):
        assert run.info.status == "FINISHED"
    for run in trials:
        one = found["trials"][int(run.data.tags["sgan.trial"])]
        history = project.mlflow().get_metric_history(run.info.run_id, "level1/frechet")
        assert [p.step for p in history] == [look["images_seen"] for look in one["looks"]]
    names = [file.path for file in project.mlflow().list_artifacts(parent.info.run_id, "tune")]
    assert "tune/level1.svg" in names

    done = results(project)
    project.sgan("tune", "1", "--trials", "3", "--resume", "--apply")
    after = yaml.safe_load((project.root / "params.yaml").read_text())
    assert after["levels"]["1"]["lr_g"] == best["changes"]["lr_g"]
    assert project.repro("levels") == ["levels"]
    assert results(project) == done  # neither the search that had ended nor the stage trained
    assert "level1: reused" in project.log
    metrics = json.loads((project.root / "metrics/levels.json").read_text())
    result = json.loads((project.root / ".runs/level1" / best["key"] / "result.json").read_text())
    assert metrics["level1"]["seconds"] == result["seconds"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_search_that_was_ended_goes_on_without_training_a_finished_trial_again(
    project, until, how
):
    prepare(project, 150_000, min_diversity=0.0, trials=4, reduction=2)
    project.put("tune.space.1", {"lr_g": {"loguniform": [1e-4, 1e-3]}})
    process = project.start("python", "-m", "pipeline", "tune", "1", log="tune.log")
    log = project.root / "tune.log"

    def looks() -> list[Any]:
        files = list((project.root / ".runs/tune").glob("*/looks.json"))
        return json.loads(files[0].read_text()) if files else []

    def ready() -> bool:
        """A trial has ended, and another one is under way, not near its end as its twin was."""
        found = looks()
        ended = {one["trial"] for one in found if one["final"]}
        begun = [one["trial"] for one in found if one["trial"] not in ended]
        return bool(ended) and any(begun.count(trial) <= 5 for trial in begun[-1:])

    until(lambda: process.poll() is not None or ready(), 300, "a trial at its end")
    assert process.poll() is None, log.read_text()
    started = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    before, done = looks(), results(project)
    os.kill(process.pid, how)
    assert process.wait(60) == (130 if how == signal.SIGINT else -signal.SIGKILL), log.read_text()
    if how == signal.SIGINT:
        assert "Go on with the same command and --resume" in log.read_text()
        assert project.checkpoint_steps("level1")
    # Ray's agents ask the dead head for a minute before they end; they hold no work.
    until(lambda: not any(is_alive(one) for one in started), 120, "nothing runs any more")
    told = project.sgan("tune", "1", "--resume")
    assert looks()[: len(before)] == before
    assert {key: results(project)[key] for key in done} == done
    found = json.loads((project.root / "artifacts/tune/level1.json").read_text())
    assert all(one["looks"] for one in found["trials"])
    assert found["best"] is not None, told
    steps = [(one["trial"], one["images_seen"]) for one in looks()]
    assert len(steps) == len(set(steps))
    (parent,) = project.runs(stage="tune", role="stage")
    assert parent.info.status == "FINISHED"


def test_two_workers_train_a_trial_by_ray_train_inside_it(project):
    """Data-parallel: the trainer runs inside the trial, and ASHA ends it by its reports."""
    prepare(project, 6000, min_diversity=0.0, trials=2)
    project.edit(levels={"1": {"workers": 2}})
    told = project.sgan("tune", "1")
    found = json.loads((project.root / "artifacts/tune/level1.json").read_text())
    assert found["best"] is not None, told
    assert len(found["trials"][0]["looks"]) == 9
    assert Path(project.root / ".runs/level1" / found["trials"][0]["key"]).is_dir()


def test_on_a_cluster_a_map_level_has_as_many_trials_at_once_as_nodes_have_cores(
    project, nodes_apart, monkeypatch
):
    """Three nodes of a core each that share nothing: three trials of four begin at once.

    None is ended before its half, which is longer than a busy machine takes to begin another.
    """
    params = yaml.safe_load((project.root / "params.yaml").read_text())
    image, vector = (params["levels"][name] for name in "01")
    project.edit(encoder={"cut": ["conv2", "fc"]})
    middle = {**image, "total_images": 12_000, "z_gain": 1.0, "precision": "float32"}
    project.put("levels.1", middle)
    project.put("levels.2", vector)
    project.put("tune.space.1", {"lr_g": {"loguniform": [1e-4, 1e-3]}, "width": {"choice": [0.5]}})
    few = {"samples": 500, "trials": 4, "measurements": 2, "reduction": 2, "rungs": 1}
    project.edit(tune={**few, "min_diversity": 0.0})
    for name, value in nodes_apart.environment().items():
        monkeypatch.setenv(name, value)
    project.repro("features")
    told = project.sgan("tune", "1")
    (state,) = (project.root / ".runs/tune").glob("*/ray/experiment_state-*.json")
    trials = [json.loads(one) for _, one in json.loads(state.read_text())["trial_data"]]
    began = sorted(one["start_time"] for one in trials)
    first_end = min(one["last_result_time"] for one in trials)
    assert began[2] < first_end <= began[3], (began, first_end)
    found = json.loads((project.root / "artifacts/tune/level1.json").read_text())
    assert found["best"] is not None and len(found["trials"]) == 4, told
    changed = [trial["changes"] for trial in found["trials"] if trial["changes"]]
    assert {one["width"] for one in changed} == {0.5}
