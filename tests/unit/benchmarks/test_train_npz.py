"""Bad input is 2 and a line; finished parts are used for what they were trained from, only."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import train_npz
from benchmarks.npz.folder import Run
from sgan.training.loop import TrainingStopped

IMAGES = np.random.default_rng(0).integers(0, 256, (128, 28, 28), np.uint8)
SMALL = ["--preset", "mnist", "--device", "cpu", "--set", "0.batch_size=4", "--set"]
SMALL += ["1.batch_size=4", "--encoder-images", "128", "--joint-images", "100"]
SMALL += ["--no-side-by-side"]


def write(path: Path, **changes: np.ndarray) -> str:
    """A data set of 128 training images and two test images, but for `changes`."""
    labels = np.arange(128) % 10
    arrays = {"x_train": IMAGES, "y_train": labels, "x_test": IMAGES[:2], "y_test": labels[:2]}
    np.savez(path, **arrays | changes)
    return str(path)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What main says when it returns 2."""
    capsys.readouterr()
    assert train_npz.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("kept", [0, 3, 500, -400])
def test_a_damaged_file_is_bad_input(
    kept: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "set.npz")
    (tmp_path / "set.npz").write_bytes((tmp_path / "set.npz").read_bytes()[:kept])
    said = refused([data, *SMALL, "--out", str(tmp_path / "out")], capsys)
    assert said.startswith(f"error: {data}: needs x_train, y_train, x_test and y_test (")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": IMAGES[:9], "y_train": np.arange(9)}, "x_train has 9 images; it takes 128 or"),
        ({"x_test": IMAGES[:0], "y_test": np.arange(0)}, "x_test has 0 images; it takes 1 or more"),
        ({"y_test": np.array(["one", "two"])}, "y_test is <U3; it takes integers"),
        ({"y_test": np.array([1, 10])}, "y_test has 2 labels from 1 to 10 for 2 images"),
    ],
)
def test_rows_that_cannot_be_trained_on(
    changes: dict[str, np.ndarray],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = write(tmp_path / "set.npz", **changes)
    assert message in refused([data, *SMALL, "--out", str(tmp_path / "out")], capsys)


def test_a_device_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: None)
    arguments = [*SMALL, "--device", "cuda", "--out", str(tmp_path / "out")]
    said = refused([write(tmp_path / "set.npz"), *arguments], capsys)
    assert said.startswith("error: --device 'cuda': this machine has no accelerator")


def test_parts_that_come_of_other_weights_are_not_taken_for_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings of a GAN say nothing of those of E, nor joint training's of the levels'."""

    def trained(run: Any, name: str, task: Any, *rest: Any) -> dict[str, Any]:
        nets = task.encoder if name == "encoder" else task.stack.levels
        for parameter in nets.parameters():  # weights that depend on how long they were trained
            parameter.data.add_(1e-6 * task.total_images)
        return {"images": task.total_images, "seconds": 1.0}

    monkeypatch.setattr(Run, "train", trained)
    monkeypatch.setattr(Run, "grid", lambda *rest: None)
    out = tmp_path / "out"
    arguments = [write(tmp_path / "set.npz"), *SMALL, "--out", str(out)]
    usual = [*arguments, "--level-images", "100", "100"]
    assert train_npz.main(usual) == 0
    assert train_npz.main(usual) == 0

    (out / "level1.safetensors").unlink()
    longer = [*arguments, "--level-images", "100", "200"]
    said = refused(longer, capsys)
    assert f"{out / 'stack.safetensors'} was trained with other settings" in said
    (out / "encoder.safetensors").unlink()
    said = refused([*longer, "--encoder-images", "256"], capsys)
    assert f"{out / 'level1.safetensors'} was trained with other settings" in said
    assert train_npz.main([*longer, "--encoder-images", "256", "--no-resume"]) == 0


@pytest.mark.parametrize("more", [[], ["--no-resume"]])
def test_what_goes_on_where_time_was_up(
    more: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With --no-resume nothing of before is left that would stop the command without it."""

    def stopped(*rest: Any) -> None:
        raise TrainingStopped("stopped at step 1 of 2, as asked")

    monkeypatch.setattr(Run, "train", stopped)
    out = tmp_path / "out"
    old = [out / "level0.safetensors", out / "checkpoints" / "stack.pt", out / "mine.safetensors"]
    for path in old:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert train_npz.main([write(tmp_path / "set.npz"), *SMALL, "--out", str(out), *more]) == 0
    same = "the same command without --no-resume" if more else "the same command"
    assert capsys.readouterr().out.endswith(f"as asked, and saved; {same} goes on from there\n")
    assert [path.exists() for path in old] == [not more, not more, True]
