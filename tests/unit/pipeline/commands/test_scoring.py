"""`sgan evaluate --images`: which options go together."""

import pytest

from pipeline.cli import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "."], "--images needs --data, one of mnist, "),
        (["--data", "mnist"], "--data goes with --images PATH"),
        (["--out", "x.json"], "--out goes with --images PATH"),
        (["--images", "none", "--data", "mnist"], "--images none: no such folder, .npz or .tar"),
        (["--images", ".", "--data", "mnist", "--out", "x.txt"], "--out x.txt: must end in .json"),
        (["--seed", "0"], "--seed goes with --images PATH"),
        (["--cas"], "--cas goes with --images PATH"),
        (["--inception"], "--inception goes with --images PATH"),
        (
            ["--images", ".", "--data", "svhn", "--judge", "resnet56"],
            "--judge resnet56 reads CIFAR-10 only; use cnn",
        ),
        (["--images", ".", "--data", "custom"], "--data custom needs --source here"),
    ],
)
def test_bad_options_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {message}")
    assert said.count("\n") == 1
