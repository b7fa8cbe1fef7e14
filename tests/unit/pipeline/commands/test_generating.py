"""`sgan generate`: what it says, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.commands import generating
from pipeline.export.forms import FORMS
from pipeline.export.generation import Generation


def run(*arguments: object) -> int:
    """The exit status of `sgan generate …`."""
    return main(["generate", *map(str, arguments)])


def test_an_npz_with_a_seed(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--n", 120, "--seed", 7, "--weights", weights, "--out", "deep/a.npz")
    assert run(*options) == 0
    assert "wrote 120 images (arr_0 of an npz, seed 7) to deep/a.npz in " in capsys.readouterr().out
    assert [path.name for path in Path("deep").iterdir()] == ["a.npz"]
    with np.load("deep/a.npz") as archive:
        assert archive["arr_0"].shape == (120, 28, 28, 3)
    assert run(*options) == 0
    assert "deep/a.npz holds these 120 images" in capsys.readouterr().out


def test_only_what_is_of_the_same_set_is_told_to_go_on(
    weights: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--n", 20, "--weights", weights, "--out", "a.npz")
    with monkeypatch.context() as patch:
        patch.setattr(Generation, "_finish", stopped)
        run(*options)
    assert "generate: stopped after 20 images" in capsys.readouterr().out
    assert run(*options, "--seed", 1) == 2
    told = capsys.readouterr()
    assert "holds the beginning of another set (other seed)" in told.err
    assert "goes on" not in told.out
    assert run(*options) == 0
    assert "generate: goes on after 20 of 20 images" in capsys.readouterr().out


def stopped(_: Generation) -> None:
    raise KeyboardInterrupt


def test_format_goes_before_the_name(weights: Path) -> None:
    options = ("--n", 20, "--weights", weights, "--out", "my-shards")
    assert run(*options, "--format", "folder") == 0
    assert len(list(Path("my-shards").glob("3/*.png"))) == 2


def test_an_empty_folder_behind_a_link_is_filled(weights: Path) -> None:
    Path("real").mkdir()
    Path("link").symlink_to("real")
    assert run("--n", 20, "--weights", weights, "--out", "link") == 0
    assert Path("link").is_symlink()
    assert len(list(Path("real").glob("3/*.png"))) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--n", 0, "--out", "x"), "--n 0: must be at least 1"),
        (("--seed", -1, "--out", "x"), "--seed -1: must be 0 to 2147483647"),
        (("--format", "npz", "--out", "x"), "--out x: must end in .npz"),
        (("--weights", "none", "--out", "x"), "none: "),
    ],
)
def test_bad_options_are_one_line(
    weights: Path, capsys: pytest.CaptureFixture[str], arguments: tuple, message: str
) -> None:
    assert run("--weights", weights, *arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {message}")
    assert said.count("\n") == 1
    assert not list(Path().iterdir())


def test_the_choices_are_all_forms_there_are() -> None:
    assert set(generating.FORMS) == set(FORMS)
