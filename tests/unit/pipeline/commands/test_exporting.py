"""`sgan export`: what it refuses. The file that it writes: tests/integration/test_onnx.py."""

from pathlib import Path

import pytest

from pipeline.cli import main


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
