"""What is stale and why, down to the level, and what the last run's times make of it."""

import json
from pathlib import Path

from pipeline.execution.retraining.plan import LAST, Step, Times, cores_of, plan
from pipeline.params.loading import Params, load
from tests.small_project import edited


def params(root: Path) -> Params:
    return load(root / "params.yaml", root)


def test_a_project_that_never_ran_costs_what_nobody_knows(checkout: Path) -> None:
    steps = plan(checkout, params(checkout))
    assert [step.name for step in steps] == ["prepare", "encoder", "level1", "level0", "joint"]
    assert {step.why for step in steps} == {"never ran"}
    assert {step.core_minutes for step in steps} == {None}


def test_one_setting_of_a_level_is_that_level_and_what_builds_on_it(done: Path) -> None:
    levels = {"level1": {"seconds": 60.0, "images_seen": 250_000}, "seconds": 121.0}
    (done / "metrics" / "levels.json").write_text(json.dumps(levels))
    assert plan(done, params(done)) == []
    edited(done, "levels", "1", "lambda_ent", value=5.0)
    level, joint = plan(done, params(done))
    assert (level.name, level.why, level.sure) == (
        "level1",
        "levels.1.lambda_ent: 10.0 → 5.0",
        True,
    )
    # It saw half as many images as it has to see now, on one thread.
    assert (level.seconds, level.core_minutes) == (120.0, 2.0)
    assert (joint.name, joint.sure) == ("joint", False)
    assert joint.why == "if levels comes out otherwise"


def test_outputs_that_are_only_known_count_as_there(done: Path) -> None:
    for name in ("prepare", "encoder", "levels", "joint"):
        (done / "out" / name).unlink()
    assert plan(done, params(done)) == []


def test_new_data_is_sure_to_run_prepare_only(done: Path) -> None:
    steps = {step.name: step for step in plan(done, params(done), new_data=True)}
    assert list(steps) == ["prepare", "encoder", "level1", "level0", "joint"]
    assert [step.sure for step in steps.values()] == [True, False, False, False, False]
    edited(done, "levels", "1", "seed", value=9)
    steps = {step.name: step for step in plan(done, params(done), new_data=True)}
    assert [steps[name].sure for name in ("level1", "level0")] == [True, False]


def test_code_and_command_are_named(done: Path) -> None:
    text = (done / "dvc.yaml").read_text()
    (done / "dvc.yaml").write_text(text.replace("copy_number.py joint", "copy_number.py  joint"))
    (step,) = plan(done, params(done))
    assert (step.name, step.why) == ("joint", "its command")


def test_cores_are_threads_times_workers(checkout: Path) -> None:
    edited(checkout, "levels", "0", "workers", value=4)
    settings = params(checkout)
    found = {name: cores_of(name, settings) for name in ("level0", "level1", "joint", "report")}
    assert found == {"level0": 4, "level1": 1, "joint": 1, "report": 1}


def test_times_of_the_last_retraining_fill_in_what_the_stages_do_not_note(tmp_path: Path) -> None:
    (tmp_path / LAST).parent.mkdir()
    (tmp_path / LAST).write_text(json.dumps({"seconds": {"evaluate": 80.0, "encoder": 1.0}}))
    (tmp_path / "metrics" / "encoder.json").write_text('{"seconds": 40.0, "images_seen": 10}')
    times = Times.read(tmp_path)
    assert (times.of("evaluate"), times.of("encoder"), times.of("joint")) == (80.0, 40.0, None)
    assert times.of("encoder", 5) == 20.0
    assert Step("x", "", True, None, 1).core_minutes is None
