"""After an edit, exactly what depends on it is done again, and what can be reused is."""

import hashlib
import shutil

import pytest
import yaml

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900), pytest.mark.alone]

PARTS = ("encoder", "level0", "level1", "joint")


def keys(project) -> dict[str, set[str]]:
    """The keys of every part in storage."""
    return {part: project.keys(part) for part in PARTS}


def weights(project) -> dict[str, str]:
    """SHA-256 of every weights file that the stages put out."""
    return {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (project.root / "artifacts").glob("*/*.safetensors")
    }


def test_one_level_trains_again_and_the_other_and_what_dvc_lost_are_reused(project):
    keys_before, weights_before = keys(project), weights(project)
    level = yaml.safe_load((project.root / "params.yaml").read_text())["levels"]["1"]
    first = {name: level[name] for name in ("lambda_ent", "total_images")}
    project.edit(levels={"1": {"lambda_ent": 5.0, "total_images": 2000}})
    assert project.repro("joint") == ["levels", "joint"]
    assert "levels: 2 levels, reused: level0," in project.log
    assert project.repro("--dry") == ["evaluate", "report"]  # joint training's results are new
    assert {part: len(found) for part, found in keys(project).items()} == {
        "encoder": 1,
        "level0": 1,
        "level1": 2,
        "joint": 2,
    }
    assert all(keys_before[part] <= found for part, found in keys(project).items())
    after = weights(project)
    same = {name for name, digest in after.items() if weights_before[name] == digest}
    assert same == {"encoder", "level0"}

    (new_key,) = keys(project)["level1"] - keys_before["level1"]
    reused = project.runs(part="levels/level0")[-1].data.tags
    trained = project.runs(part="levels/level1")[-1]
    assert reused["sgan.reused"] == "true"
    assert {reused["sgan.part_key"]} == keys_before["level0"]
    assert "sgan.reused" not in trained.data.tags
    assert trained.data.tags["sgan.part_key"] == new_key
    assert trained.data.params["level1.lambda_ent"] == "5.0"

    # Back to how it was, which DVC then lost: all of it is there in storage.
    keys_after = keys(project)
    project.edit(levels={"1": first})
    shutil.rmtree(project.root / ".dvc" / "cache")
    shutil.rmtree(project.root / "artifacts")
    assert project.repro("levels") == ["prepare", "encoder", "features", "levels"]
    assert "encoder: reused" in project.log
    assert "levels: 2 levels, reused: level0, level1," in project.log
    assert keys(project) == keys_after
    names = ("encoder", "level0", "level1")
    assert weights(project) == {name: weights_before[name] for name in names}


def test_an_edit_of_the_page_s_looks_draws_it_again_and_no_more(project):
    style = project.root / "pipeline/report/templates/page.css"
    style.write_text(style.read_text() + ".edited{color:red}\n")
    assert project.repro() == ["report"]
    assert ".edited" in (project.root / "artifacts/report/report.html").read_text()


def test_where_it_runs_is_no_reason_to_run_again(project):
    project.edit(runtime={"checkpoint_seconds": 3.0, "progress": "plain", "cpus_per_worker": 2.0})
    assert project.repro() == []
    assert "up to date" in project.log
