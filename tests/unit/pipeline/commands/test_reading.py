"""`sgan reconstruct` and `neighbours`: pictures beside those of a stack of random weights."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import paths
from pipeline.cli import main
from pipeline.data import shard_writer, shards
from pipeline.data.dataset import Dataset
from pipeline.params.settings import DataConfig
from sgan.weights import load_stack, save_stack

TILE = 56  # 28 pixels doubled


def run(*arguments: object) -> int:
    """The exit status of `sgan …`."""
    return main([str(argument) for argument in arguments])


def tiles(path: Path, rows: int, columns: int) -> np.ndarray:
    """The pictures of a sheet, [rows, columns, 56, 56], cut from its lower right."""
    with Image.open(path) as image:
        sheet = np.asarray(image.convert("L"), dtype=float)
    step = TILE + 2
    top, left = sheet.shape[0] - (rows * step - 2), sheet.shape[1] - (columns * step - 2)
    return np.array(
        [
            [sheet[top + r * step :, left + c * step :][:TILE, :TILE] for c in range(columns)]
            for r in range(rows)
        ]
    )


@pytest.fixture
def at_home(weights: Path) -> Path:
    """The weights again, in a project that holds the images which they are said to be of."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 28, 28, 1), dtype=np.uint8)
    labels = np.arange(60) % 10
    dataset = Dataset(images, labels, images[:20], labels[:20], tuple("abcdefghij"))
    settings = DataConfig(name="custom", source="/x")
    digest = shard_writer.write(dataset, Path.cwd() / paths.DATA, settings).data_digest
    path = Path("stack.safetensors")
    save_stack(path, load_stack(weights), {"inputs": {"data": digest}})
    return path


def test_reconstructions_of_files_show_the_files_first(weights: Path) -> None:
    folder = Path("mine")
    folder.mkdir()
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (3, 28, 28), dtype=np.uint8)
    for index, image in enumerate(real):
        Image.fromarray(image).save(folder / f"{index}.png")
    options = ("--images", folder, "--draws", 2, "--weights", weights, "--seed", 0)
    assert run("reconstruct", *options, "--out", "r.png") == 0
    images = tiles(Path("r.png"), 3, 3)
    assert np.array_equal(images[0], real.repeat(2, axis=1).repeat(2, axis=2))
    assert not np.array_equal(images[1], images[2])


def test_without_files_the_test_split_is_rebuilt(at_home: Path) -> None:
    options = ("--n", 4, "--draws", 1, "--weights", at_home, "--seed", 0)
    assert run("reconstruct", *options, "--out", "r.png") == 0
    real = shards.read_split(Path.cwd() / paths.DATA, "test")[0][:4, ..., 0]
    shown = tiles(Path("r.png"), 2, 4)[0]
    assert np.array_equal(shown, real.repeat(2, axis=1).repeat(2, axis=2))


def test_neighbours_stand_below_samples_and_are_told(
    at_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--label", "c", "--n", 3, "--weights", at_home, "--seed", 0)
    assert run("neighbours", *options, "--out", "n.png") == 0
    train = shards.read_split(Path.cwd() / paths.DATA, "train")[0][..., 0]
    known = {image.repeat(2, axis=0).repeat(2, axis=1).astype(float).tobytes() for image in train}
    samples, below = tiles(Path("n.png"), 2, 3)
    assert all(np.ascontiguousarray(image).tobytes() in known for image in below)
    assert not any(np.ascontiguousarray(image).tobytes() in known for image in samples)
    # The test images are training images here: as near as can be.
    assert "real test images 0.00" in capsys.readouterr().out


def test_neighbours_of_a_class_that_the_test_split_lacks(
    at_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path.cwd() / paths.DATA
    (train, labels), (test, held) = (
        shards.read_split(data, "train"),
        shards.read_split(data, "test"),
    )
    kept = held != 2
    dataset = Dataset(train, labels, test[kept], held[kept], tuple("abcdefghij"))
    digest = shard_writer.write(dataset, data, DataConfig(name="custom", source="/x")).data_digest
    save_stack(at_home, load_stack(at_home), {"inputs": {"data": digest}})
    assert run("neighbours", "--label", "c", "--n", 3, "--weights", at_home, "--out", "n.png") == 0
    assert "real test images none are held out" in capsys.readouterr().out


def test_neighbours_need_the_data(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("neighbours", "--weights", weights, "--out", "n.png") == 2
    assert "artifacts/data does not hold the images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("reconstruct", "--level", "2"), "--level 2: must be one of 1; this stack has 2 in all"),
        (("reconstruct", "--draws", "0"), "--draws 0: must be at least 1"),
        (("neighbours", "--n", "0"), "--n 0: must be at least 1"),
    ],
)
def test_bad_options_are_one_line(
    weights: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert run(*arguments, "--weights", weights, "--out", "x.png") == 2
    assert capsys.readouterr().err == f"error: {message}\n"
    assert not Path("x.png").exists()


@pytest.mark.parametrize("command", ["reconstruct", "neighbours"])
def test_help_teaches_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run(command, "--help")
    assert end.value.code == 0
    assert f"example:\n  sgan {command} " in capsys.readouterr().out
