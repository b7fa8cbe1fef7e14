"""Checkpoints in storage: the newest readable one wins, and a finished part keeps none."""

import hashlib
import io
import json
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


@pytest.mark.parametrize("damage", ["empty", "foreign", "cut", "one bit"])
def test_a_damaged_checkpoint_is_passed_over(checkpoints, tmp_path, capsys, damage):
    """torch itself reads one with a wrong bit in a tensor without a word."""
    checkpoints.save(10, state(10))
    checkpoints.save(20, state(20))
    newest = tmp_path / FOLDER / "step-0000000020.pt"
    content = bytearray(newest.read_bytes())
    content[content.index(state(20)["task"]["w"].numpy().tobytes())] ^= 1
    damaged = {"empty": b"", "foreign": b"not a checkpoint", "cut": content[:-500]}
    newest.write_bytes(damaged.get(damage, content))
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

    content = io.BytesIO()
    torch.save({"task": Harm()}, content, pickle_module=pickle)
    digest = hashlib.sha256(content.getvalue()).hexdigest().encode()
    path = tmp_path / FOLDER / "step-0000000020.pt"
    path.write_bytes(digest + b"\n" + content.getvalue())
    assert checkpoints.load("cpu")[0] == 10
    assert not marker.exists()


def test_all_damaged_means_from_the_start(checkpoints, tmp_path):
    checkpoints.save(10, state(10))
    (tmp_path / FOLDER / "step-0000000010.pt").write_bytes(b"")
    assert checkpoints.load("cpu") is None


def test_a_write_that_fails_leaves_the_older_ones(checkpoints, tmp_path, small_files):
    checkpoints.save(10, state(10))
    checkpoints.save(20, state(20))
    small_files(1000)
    with pytest.raises(UserError, match=r"step-0000000030\.pt cannot be written: File too large"):
        checkpoints.save(30, state(30))
    assert files(tmp_path) == ["step-0000000010.pt", "step-0000000020.pt"]


def finished(tmp_path, content: bytes, **fields) -> tuple[Path, dict]:
    """A file of weights, and the result that names it."""
    weights = tmp_path / f"{content.decode()}.safetensors"
    weights.write_bytes(content)
    return weights, {"key": "0123", "weights_sha256": hashlib.sha256(content).hexdigest(), **fields}


def test_finishing_leaves_the_weights_and_the_result_alone(checkpoints, tmp_path):
    checkpoints.save(10, state(10))
    checkpoints.save(20, state(20))
    weights, result = finished(tmp_path, b"trained", images_seen=40, curve=[{"a": 1.5}])
    assert checkpoints.finish(weights, result) == result
    assert files(tmp_path) == ["result.json", "weights-33fbcd8470ea.safetensors"]
    assert checkpoints.result() == result
    checkpoints.fetch_weights(tmp_path / "copy.safetensors")
    assert (tmp_path / "copy.safetensors").read_bytes() == b"trained"


def test_of_two_that_finish_the_first_counts(checkpoints, tmp_path):
    """Both were at it when the second looked whether there was a result."""
    weights, first = finished(tmp_path, b"first")
    later, second = finished(tmp_path, b"second")
    checkpoints.finish(weights, first)
    assert checkpoints.finish(later, second) == first
    checkpoints.storage.delete(f"{FOLDER}/result.json")

    class Beaten(Checkpoints):
        def _is_first(self, result):
            Checkpoints(self.storage, self.folder).finish(weights, first)
            return super()._is_first(result)

    assert Beaten(checkpoints.storage, FOLDER).finish(later, second) == first
    checkpoints.fetch_weights(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"first"


def test_a_foreign_object_under_our_key_is_refused(checkpoints, tmp_path):
    weights, result = finished(tmp_path, b"trained")
    checkpoints.finish(weights, result)
    checkpoints.storage.write(f"{FOLDER}/weights-33fbcd8470ea.safetensors", b"foreign")
    with pytest.raises(UserError, match=r"is not what was trained: its SHA-256 .* Delete .*0123"):
        checkpoints.fetch_weights(tmp_path / "copy")
    checkpoints.storage.delete(f"{FOLDER}/weights-33fbcd8470ea.safetensors")
    with pytest.raises(UserError, match=r"weights-\S+ does not exist; delete .*0123 and run"):
        checkpoints.fetch_weights(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("foreign", [{"key": "4567"}, {}, [1]])
def test_a_foreign_result_under_our_key_is_refused(checkpoints, foreign):
    checkpoints.storage.write_json(f"{FOLDER}/result.json", foreign)
    with pytest.raises(UserError, match=r"0123/result\.json is the result of another part"):
        checkpoints.result()


def test_without_its_weights_a_part_is_not_finished(checkpoints, tmp_path):
    with pytest.raises(FileNotFoundError):
        checkpoints.finish(tmp_path / "missing", finished(tmp_path, b"x")[1])
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
