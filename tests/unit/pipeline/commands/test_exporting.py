"""`sgan export`: the file that it writes, and what it refuses."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from pipeline.cli import main

pytestmark = pytest.mark.xdist_group("onnx")  # its exporter takes two seconds to import


def test_the_file_draws(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--onnx", "out/stack.onnx", "--weights", str(weights)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("wrote out/stack.onnx (")
    assert said.endswith("label, z_1, z_0 -> images uint8\n")
    z = np.full((2, 4), 0.5, np.float32)
    session = onnxruntime.InferenceSession("out/stack.onnx")
    images = session.run(None, {"label": np.array([3, 5]), "z_1": z, "z_0": z})[0]
    assert images.shape == (2, 28, 28, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--onnx", "x.pt"), "--onnx x.pt: must end in .onnx"),
        (("--onnx", "x.onnx", "--weights", "none"), "none: "),
    ],
)
def test_bad_options_are_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert main(["export", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {message}")
    assert said.count("\n") == 1
    assert not list(Path().iterdir())
