"""`sgan evaluate --images`: which folders can be scored, and what their labels are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.cli import main
from pipeline.data.image_files import folder_images
from pipeline.errors import UserError
from pipeline.scores.inputs import RealImages

BLANK = np.zeros((2, 8, 8, 1), np.uint8)
REAL = RealImages(BLANK, np.arange(2), BLANK, np.arange(2), ("cat", "dog"), "digest")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """`write(name, count, value)`: that many images in a folder below tmp_path/images."""

    def make(name: str, count: int, value: int = 0) -> Path:
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(count):
            Image.fromarray(np.full((8, 8), value, np.uint8)).save(folder / f"{index}.png")
        return tmp_path / "images"

    return make


def test_a_folder_per_class_has_labels_by_name_or_number(write: Callable[..., Path]) -> None:
    write("Dog", 60, 10)
    images, labels = folder_images(write("0", 50, 200), REAL)
    assert images.shape == (110, 8, 8, 1)
    assert labels is not None
    assert {int(v) for v in images[labels == 1].ravel()} == {10}
    assert {int(v) for v in images[labels == 0].ravel()} == {200}
    assert (labels == 1).sum() == 60


def test_a_flat_folder_has_none(write: Callable[..., Path]) -> None:
    images, labels = folder_images(write("", 100), REAL)
    assert labels is None
    assert len(images) == 100


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ({"bird": 120}, r"bird: no class of the data; there are cat, dog"),
        ({"cat": 120, "dog": 1}, r"dog: 1 image; a class needs two or more"),
        ({"cat": 120, "": 1}, r"images: images beside class folders"),
        ({"cat": 50}, r"images: 50 images; scores need 100 or more"),
        ({"": 3}, r"images: 3 images; scores need 100 or more"),
    ],
)
def test_folders_that_cannot_be_scored(
    write: Callable[..., Path], folders: dict[str, int], message: str
) -> None:
    for name, count in folders.items():
        root = write(name, count)
    with pytest.raises(UserError, match=message):
        folder_images(root, REAL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "."], "--images needs --data, one of mnist, "),
        (["--data", "mnist"], "--data goes with --images FOLDER"),
        (["--out", "x.json"], "--out goes with --images FOLDER"),
        (["--images", "none", "--data", "mnist"], "--images none: no such folder"),
        (["--images", ".", "--data", "mnist", "--out", "x.txt"], "--out x.txt: must end in .json"),
        (["--cas"], "--cas goes with --images FOLDER"),
        (["--inception"], "--inception goes with --images FOLDER"),
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
