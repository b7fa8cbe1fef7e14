"""`sgan sample`, `vary`, `interpolate`: pictures from a stack of random weights."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.cli import main

TILE = 56  # 28 pixels doubled


def pixels(path: Path) -> np.ndarray:
    """A PNG as float [H, W, 4]."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA"), dtype=float)


def tiles(path: Path, rows: int, columns: int) -> np.ndarray:
    """The pictures of a sheet, [rows, columns, 56, 56], cut from its lower right."""
    sheet = pixels(path)[..., 0]
    height, width = rows * (TILE + 2) - 2, columns * (TILE + 2) - 2
    cut = sheet[sheet.shape[0] - height :, sheet.shape[1] - width :]
    return np.array(
        [
            [cut[r : r + TILE, c : c + TILE] for c in range(0, width, TILE + 2)]
            for r in range(0, height, TILE + 2)
        ]
    )


def run(*arguments: object) -> int:
    """The exit status of `sgan …`."""
    return main([str(argument) for argument in arguments])


def test_samples_of_a_class_stand_in_a_square(weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "s.png"
    assert run("sample", "--label", 3, "--n", 9, "--weights", weights, "--out", out) == 0
    assert pixels(out).shape[:2] == (3 * TILE + 4, 3 * TILE + 4)
    assert [path.name for path in out.parent.iterdir()] == ["s.png"]


def test_the_same_seed_gives_the_same_images(weights: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert run("sample", "--seed", seed, "--weights", weights, "--out", f"{name}.png") == 0
    a, b, c = (pixels(tmp_path / f"{name}.png") for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_a_new_seed_is_told(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sample", "--n", 4, "--weights", weights, "--out", "x.png") == 0
    seed = capsys.readouterr().out.split("--seed ")[1].rstrip(")\n")
    assert run("sample", "--n", 4, "--weights", weights, "--out", "y.png", "--seed", seed) == 0
    assert Path("x.png").read_bytes() == Path("y.png").read_bytes()


@pytest.mark.parametrize("level", [0, 1])
def test_vary_draws_one_level_anew_in_each_column(weights: Path, level: int) -> None:
    options = ("--columns", 5, "--rows", 3, "--label", 2, "--seed", 1, "--weights", weights)
    assert run("vary", "--level", level, *options, "--out", "v.png") == 0
    images = tiles(Path("v.png"), 3, 5)
    within = np.abs(images[:, 1:] - images[:, :1]).mean()
    assert within > 0.5


def test_interpolation_goes_in_small_steps(weights: Path) -> None:
    options = ("--columns", 9, "--rows", 2, "--label", 2, "--seed", 1, "--weights", weights)
    assert run("interpolate", "--level", 1, *options, "--out", "i.png") == 0
    images = tiles(Path("i.png"), 2, 9)
    steps = np.abs(np.diff(images, axis=1)).mean(axis=(2, 3))
    ends = np.abs(images[:, -1] - images[:, 0]).mean(axis=(1, 2))
    assert (steps.max(axis=1) < ends).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sample", "--n", "0"), "--n 0: must be at least 1"),
        (("sample", "--label", "cat"), "--label cat: must be 0 to 9"),
        (("sample", "--columns", "0"), "--columns 0: must be at least 1"),
        (("vary", "--level", "5"), "--level 5: must be one of 0, 1; this stack has 2 in all"),
        (("interpolate", "--level", "1", "--columns", "1"), "--columns 1: must be at least 2"),
    ],
)
def test_bad_options_are_one_line(
    weights: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    assert run(*arguments, "--weights", weights, "--out", "x.png") == 2
    assert capsys.readouterr().err == f"error: {message}\n"
    assert not Path("x.png").exists()


def test_only_png_is_written(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("vary", "--level", 0, "--weights", weights, "--out", "x.jpg") == 2
    assert capsys.readouterr().err == "error: --out x.jpg: must end in .png\n"


@pytest.mark.parametrize("command", ["sample", "vary", "interpolate"])
def test_help_teaches_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run(command, "--help")
    said = capsys.readouterr().out
    assert end.value.code == 0
    assert f"example:\n  sgan {command} " in said


def test_an_image_is_that_of_its_own_seed(weights: Path) -> None:
    options = ("--label", 4, "--weights", weights)
    assert run("sample", "--n", 3, "--columns", 3, "--seed", 5, *options, "--out", "m.png") == 0
    assert run("sample", "--n", 1, "--seed", 7, *options, "--out", "one.png") == 0
    assert np.array_equal(tiles(Path("m.png"), 1, 3)[0, 2], tiles(Path("one.png"), 1, 1)[0, 0])


def test_a_model_or_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("sample", "--model", "models:/a/1", "--weights", "x", "--out", "x.png")
    assert "not allowed with argument" in capsys.readouterr().err
    assert run("sample", "--model", "models:/a", "--out", "x.png") == 2
    assert "--model models:/a: must be models:/NAME@ALIAS" in capsys.readouterr().err


def test_noise_may_be_given(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--label", 4, "--n", 4, "--weights", weights)
    given = ("--z", 1, "0,.25,.5,1", "--z", 0, ".1,.2,.3,.4")
    assert run("sample", *options, *given, "--out", "z.png") == 0
    images = tiles(Path("z.png"), 2, 2).reshape(4, -1)
    assert (images == images[0]).all()
    assert images.std() > 0
    assert run("sample", *options, "--z", 1, "0,1", "--out", "no.png") == 2
    assert "z_1 of this stack has 4" in capsys.readouterr().err
