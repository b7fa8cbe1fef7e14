"""The whole stack from an `.npz`, as on a machine that has none of the engines."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ("ray", "mlflow", "dvc", "boto3", "pyarrow", "webdataset", "hydra", "pydantic")
WITHOUT = f"""
import sys
sys.modules.update(dict.fromkeys({ENGINES}))
if __name__ == "__main__":
    from benchmarks import train_npz
    sys.exit(train_npz.main())
"""


def run(arguments: list[str], script: Path) -> str:
    """What the command prints, which must end well."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_minutes_become_a_stack_and_the_command_goes_on_where_it_stopped(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (130, 28, 28), np.uint8), np.arange(130) % 10
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(tmp_path / "set.npz", **arrays)
    (tmp_path / "without.py").write_text(WITHOUT)
    out = tmp_path / "out"
    arguments = [str(tmp_path / "set.npz"), "--preset", "mnist", "--out", str(out)]
    arguments += ["--encoder-images", "128", "--level-images", "100", "100", "--threads", "1"]
    arguments += ["--joint-images", "100", "--set", "0.batch_size=10", "--set", "1.batch_size=10"]
    arguments += ["--device", "cpu", "--minutes", "2", "--measure-seconds", "0.01"]
    arguments += ["--samples", "50", "--inception", "none"]

    stopped = run([*arguments, "--max-seconds", "0.001"], tmp_path / "without.py")
    for i in (0, 1):
        assert f"as asked, and saved; level {i}: the same command goes on from there" in stopped
    assert not (out / "result.json").exists()
    plan = (out / "plan.json").read_text()
    told = run(arguments, tmp_path / "without.py")
    assert "encoder: done before" in told
    assert "level0: goes on at image 10\n" in told and "level1: goes on at image 10\n" in told
    assert (out / "plan.json").read_text() == plan
    result: dict[str, Any] = json.loads((out / "result.json").read_text())
    assert {name: own["images"] for name, own in result["parts"].items()} == {
        "encoder": 128,
        "level0": 100,
        "level1": 100,
        "stack": 100,
    }
    assert set(result["steps"]) == {"level 0", "level 1", "joint"}
    assert all(step["ours_ms"] > 0 and step["ratio"] > 0 for step in result["steps"].values())
    for name in ("levels.png", "stack.png", "curves.png", "stack.safetensors"):
        assert (out / name).stat().st_size > 1000, name
    assert not list((out / "checkpoints").iterdir())
