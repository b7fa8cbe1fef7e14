"""Checkpoints in storage: the newest readable one wins, and a finished part keeps none."""

import json
import resource
from pathlib import Path

import pytest
import torch

from pipeline.errors import UserError
from pipeline.parts.checkpoints import Checkpoints
from pipeline.storage.store import Storage

FOLDER = "level0/0123"


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(Storage(tmp_path), FOLDER)


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / FOLDER).iterdir())


def state(value: float) -> dict:
    return {"task": {"w": torch.full((3,), value)}, "curve": {"rows": []}, "seconds": value}


def test_nothing_is_there_at_first(checkpoints):
    assert checkpoints.load("cpu") is None
    assert checkpoints.result() is None


def test_the_newest_step_is_loaded_whole(checkpoints):
    for step in (5, 30, 200):  # as text "30" would come after "200"
        checkpoints.save(step, state(step))
    step, loaded = checkpoints.load("cpu")
    assert step == 200
    assert torch.equal(loaded["task"]["w"], torch.full((3,), 200.0))
    assert loaded["seconds"] == 200


def test_two_checkpoints_are_kept(checkpoints, tmp_path):
    for step in (1, 2, 3, 4):
        checkpoints.save(step, state(step))
    assert files(tmp_path) == ["step-0000000003.pt", "step-0000000004.pt"]


def test_a_worker_that_lags_behind_takes_nothing_from_a_newer_one(checkpoints, tmp_path):
    """The old worker of a lost node may live some seconds beside its successor."""
    for step in (50, 60):
        checkpoints.save(step, state(step))
    checkpoints.save(20, state(20))
    assert {"step-0000000050.pt", "step-0000000060.pt"} <= set(files(tmp_path))
    assert checkpoints.load("cpu")[0] == 60


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_passed_over(checkpoints, tmp_path, capsys, damage):
    checkpoints.save(10, state(10))
    checkpoints.save(20, state(20))
    newest = tmp_path / FOLDER / "step-0000000020.pt"
    newest.write_bytes(newest.read_bytes()[:-500] if damage is None else damage)
    step, loaded = checkpoints.load("cpu")
    assert (step, loaded["seconds"]) == (10, 10)
    assert "level0/0123/step-0000000020.pt cannot be read" in capsys.readouterr().out


def test_a_checkpoint_that_would_run_code_is_passed_over(checkpoints, tmp_path):
    import pickle

    checkpoints.save(10, state(10))
    marker = tmp_path / "ran"

    class Harm:
        def __reduce__(self):
            return (Path.touch, (marker,))

    path = tmp_path / FOLDER / "step-0000000020.pt"
    torch.save({"task": Harm()}, path, pickle_module=pickle)
    assert checkpoints.load("cpu")[0] == 10
    assert not marker.exists()


def test_all_damaged_means_from_the_start(checkpoints, tmp_path):
    checkpoints.save(10, state(10))
    (tmp_path / FOLDER / "step-0000000010.pt").write_bytes(b"")
    assert checkpoints.load("cpu") is None


@pytest.fixture
def full_disk():
    """From `full_disk(n)` on no file of this process may grow beyond n bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_leaves_the_older_ones(checkpoints, tmp_path, full_disk):
    checkpoints.save(10, state(10))
    checkpoints.save(20, state(20))
    full_disk(1000)
    with pytest.raises(OSError, match="File too large"):
        checkpoints.save(30, state(30))
    assert files(tmp_path) == ["step-0000000010.pt", "step-0000000020.pt"]


def test_finishing_leaves_the_weights_and_the_result_alone(checkpoints, tmp_path):
    checkpoints.save(10, state(10))
    checkpoints.save(20, state(20))
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"weights")
    checkpoints.finish(weights, {"images_seen": 40, "curve": [{"a": 1.5}]})
    assert files(tmp_path) == ["result.json", "weights.safetensors"]
    assert checkpoints.result() == {"images_seen": 40, "curve": [{"a": 1.5}]}
    checkpoints.fetch_weights(tmp_path / "copy.safetensors")
    assert (tmp_path / "copy.safetensors").read_bytes() == b"weights"


def test_without_its_weights_a_part_is_not_finished(checkpoints, tmp_path):
    with pytest.raises(FileNotFoundError):
        checkpoints.finish(tmp_path / "missing", {"images_seen": 40})
    assert checkpoints.result() is None


def test_a_damaged_result_says_what_to_do(checkpoints, tmp_path):
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "result.json").write_text(json.dumps({"a": 1})[:-1])
    with pytest.raises(UserError, match=r"result\.json is not valid JSON .*; delete it and run"):
        checkpoints.result()


def test_keys_do_not_see_each_other(tmp_path):
    one, other = (Checkpoints(Storage(tmp_path), f"level0/{key}") for key in ("01", "012"))
    one.save(10, state(10))
    assert other.load("cpu") is None
