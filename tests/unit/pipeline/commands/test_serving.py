"""`sgan serve`: what it refuses before it listens; it runs in tests/integration/test_serve.py."""

from pathlib import Path

import pytest

from pipeline.cli import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "stack.safetensors: No such file or directory; train first (`dvc repro`)"),
        (("--weights", "x"), "--weights x: No such file"),
        (("--model", "sgan-mnist"), "--model sgan-mnist: must be models:/NAME@ALIAS"),
        (("--poll", "0"), "--poll 0.0: must be 0.1 to 86400 seconds"),
        (("--port", "70000"), "--port 70000: must be 0 to 65535"),
    ],
)
def test_what_it_refuses(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert main(["serve", "--port", "0", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said
    assert list(Path.cwd().iterdir()) == [], "nothing is written"


def test_a_model_and_a_file_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["serve", "--model", "models:/a/1", "--weights", "x"])
    assert end.value.code == 2
    assert "not allowed with" in capsys.readouterr().err
