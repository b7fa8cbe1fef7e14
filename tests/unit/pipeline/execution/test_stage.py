"""What every stage does around its own work, on a project whose data is prepared."""

import shutil
import time
from pathlib import Path

import pytest
import yaml

from pipeline import paths
from pipeline.errors import UserError
from pipeline.execution.stage import opened, part_metrics


def edit(project: Path, section: str, **values: object) -> None:
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    assert values.keys() <= params[section].keys()
    params[section].update(values)
    path.write_text(yaml.safe_dump(params))


def test_bad_parameters_are_told_before_anything_is_locked_or_tracked(project: Path) -> None:
    shutil.rmtree(project / ".runs")
    edit(project, "encoder", width=0)
    with pytest.raises(UserError, match=r"encoder\.width"), opened("encoder"):
        pytest.fail("opened")
    assert not (project / ".runs").exists()


def test_the_nets_are_made_for_the_data_that_lies_there(project: Path) -> None:
    with opened("encoder") as stage:
        config = stage.stack_config()
    assert config.image.shape == (1, 28, 28)
    assert config.image.num_classes == 10


def test_without_data_it_says_which_stage_makes_it(project: Path) -> None:
    shutil.rmtree(project / paths.DATA)
    with opened("encoder") as stage, pytest.raises(UserError, match="Run `dvc repro prepare`"):
        stage.stack_config()


def test_the_key_s_inputs_know_the_data_and_the_order_of_its_shards(project: Path) -> None:
    from pipeline.stages import prepare

    with opened("encoder") as stage:
        before = stage.data_inputs()
        assert stage.manifest().data_digest == before["data"]
    edit(project, "data", shard_images=700)
    prepare.main()
    with opened("encoder") as stage:
        after = stage.data_inputs()
    assert after["data"] == before["data"], "the same images"
    assert after["shards"] == "[700, 700, 600]" != before["shards"]


def test_paths_are_absolute_whatever_the_working_directory(
    project: Path, tmp_path_factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    with opened("encoder") as stage:
        assert stage.path(paths.DATA) == project / "artifacts/data"
        assert stage.kept("judge") == project / ".runs/judge"


def test_a_temporary_workspace_keeps_things_in_its_project(project: Path, monkeypatch) -> None:
    """`dvc exp run --queue` deletes the workspace that it runs in."""
    workspace = project / ".dvc" / "tmp" / "exps" / "tmpabc"
    workspace.mkdir(parents=True)
    shutil.copy(project / "params.yaml", workspace)
    with opened("evaluate", workspace) as stage:
        assert stage.kept("judge") == project / ".runs/judge"
        assert stage.path(paths.EVALUATE) == workspace / "artifacts/evaluate"


def test_its_run_began_when_it_did_and_carries_its_section(project: Path) -> None:
    with opened("encoder") as stage:
        stage.began -= 100
        with stage.run("encoder", {"sgan.data_digest": "d"}, part_key="k") as run:
            found = stage.tracker.client.get_run(run.run_id)
        assert 100 <= stage.seconds() < 100 + 60
    assert 100 <= time.time() - found.info.start_time / 1000 < 100 + 60
    assert {key.split(".")[0] for key in found.data.params} == {"encoder"}
    assert found.data.tags["sgan.part_key"] == "k"
    parent = stage.tracker.client.get_run(stage.tracker.parent(stage.lineage))
    assert {"data", "levels", "joint"} <= {key.split(".")[0] for key in parent.data.params}


def test_the_experiment_s_name_is_the_environment_s(project: Path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    with opened("encoder") as stage:
        found = stage.tracker.client.get_experiment(stage.tracker.experiment_id)
    assert found.name == "mine"


def test_a_part_s_threads_are_its_kind_s_and_not_the_machine_s(project: Path) -> None:
    from pipeline.parts.part import Identity

    edit(project, "runtime", threads={"level": 3})
    with opened("encoder") as stage:
        config, inputs = stage.stack_config(), stage.data_inputs()
        encoder = stage.part(Identity.of_encoder(config, inputs)).placement
        level = stage.part(Identity.of_level(config, 0, inputs)).placement
    assert (encoder.threads, level.threads) == (2, 3)
    assert (encoder.cpus, level.cpus) == (None, None), "as many as threads"


def test_auto_precision_is_in_the_key_as_what_it_is_here(project: Path) -> None:
    from pipeline.parts.device import precision_here

    edit(project, "joint", precision="auto")
    with opened("encoder") as stage:
        config, joint = stage.stack_config(), stage.joint_config()
        found = [config.encoder.precision, config.levels[0].precision, joint.precision]
        assert stage.session() is None
    assert found == [precision_here("auto")] * 3
    assert config.levels[1].precision == "float32", "as params.yaml says"


def test_a_part_s_metrics_lose_its_name_and_needless_digits() -> None:
    result = {"metrics": {"level0/loss_d": 0.123456789}, "images_seen": 100, "seconds": 2.5}
    assert part_metrics(result) == {"loss_d": 0.123457, "images_seen": 100, "seconds": 2.5}
