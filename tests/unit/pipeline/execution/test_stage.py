"""What every stage does around its own work, on a project whose data is prepared."""

import hashlib
import os
import shutil
import time
from pathlib import Path

import pytest
import yaml

from pipeline import paths
from pipeline.errors import UserError
from pipeline.execution.stage import file_sha256, opened, part_metrics


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


def test_a_part_alone_has_the_machine_unless_it_is_a_cluster_s_or_told(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with opened("encoder") as stage:
        assert stage.cpus_alone() == os.cpu_count()
        monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
        assert stage.cpus_alone() == 1
    edit(project, "runtime", cpus_per_worker=3.0)
    with opened("encoder") as stage:
        assert stage.cpus_alone() == 3


def test_the_digest_of_a_file_and_of_none(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"weights")
    assert file_sha256(tmp_path / "w") == hashlib.sha256(b"weights").hexdigest()
    with pytest.raises(UserError, match=r"none does not exist; run `dvc repro`"):
        file_sha256(tmp_path / "none")


def test_a_part_s_metrics_lose_its_name_and_needless_digits() -> None:
    result = {"metrics": {"level0/loss_d": 0.123456789}, "images_seen": 100, "seconds": 2.5}
    assert part_metrics(result) == {"loss_d": 0.123457, "images_seen": 100, "seconds": 2.5}
