"""`sgan evaluate --images`: which options go together."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.cli import main
from pipeline.commands import scoring
from pipeline.data import sources
from pipeline.errors import UserError
from pipeline.params import loading
from pipeline.params.settings import DataConfig


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "."], "--images needs --data, one of mnist, "),
        (["--data", "mnist"], "--data goes with --images PATH"),
        (["--out", "x.json"], "--out goes with --images PATH"),
        (["--images", "none", "--data", "mnist"], "--images none: no such folder, .npz or .tar"),
        (["--images", ".", "--data", "mnist", "--out", "x.txt"], "--out x.txt: must end in .json"),
        (["--seed", "0"], "--seed goes with --images PATH"),
        (
            ["--images", ".", "--data", "mnist", "--judge-epochs", "nan"],
            "--judge-epochs nan: must be above 0, and finite",
        ),
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


@pytest.mark.parametrize(("more", "source"), [([], "theirs"), (["--source", "others"], "others")])
def test_the_projects_own_images_are_read_as_it_says(
    more: list[str], source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("params.yaml").touch()
    data = DataConfig(name="custom", source="theirs", image_size=8)
    monkeypatch.setattr(loading, "load", lambda root: SimpleNamespace(data=data))
    asked = []

    def load(settings: DataConfig) -> None:
        asked.append(settings)
        raise UserError("asked")

    monkeypatch.setattr(sources, "load", load)
    assert main(["evaluate", "--images", ".", "--data", "custom", *more]) == 2
    assert asked == [DataConfig(name="custom", source=source, image_size=8)]


def test_a_path_with_brackets_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    scoring.print_scores([], "runs/[best][/x] against mnist")
    assert "runs/[best][/x] against mnist" in capsys.readouterr().out
