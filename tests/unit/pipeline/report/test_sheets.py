"""Sheets of a small stack: one file each, of real and drawn images, known to `figures`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.report.figures import figures_in
from pipeline.report.sheets import _per_class, draw_sheets
from pipeline.scores.inputs import RealImages, Samples
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.stack import Stack


@pytest.fixture
def few() -> RealImages:
    """Six grey images of three classes in each split, of which the last has only one."""
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28, 1), dtype=np.uint8)
    labels = np.array([0, 1, 0, 1, 1, 2])
    return RealImages(images, labels, images, labels, ("a", "b", "c"), "few")


def test_every_sheet_is_drawn_and_told(few: RealImages, tmp_path: Path) -> None:
    torch.manual_seed(0)
    level = LevelConfig(z_dim=4, batch_size=10, total_images=10)
    config = StackConfig(ImageConfig(1, 28, 28, 3), EncoderConfig(cut=("fc",)), (level, level))
    samples = Samples(few.train_images[:4], few.train_labels[:4], 0)
    draw_sheets(Stack(config).eval(), few, samples, tmp_path, columns=4)
    names = {path.stem for path in tmp_path.iterdir()}
    assert names == {
        "samples",
        "real",
        "vary_z0",
        "vary_z1",
        "interpolate_z0",
        "interpolate_z1",
        "reconstructions",
        "nearest",
    }
    assert len(figures_in(tmp_path)) == len(names)
    with Image.open(tmp_path / "real.png") as sheet:
        pixels = np.asarray(sheet.convert("L"))
    # A class with one image shows it in every column; rows are 56 pixels high with a gap of 2.
    left = pixels.shape[1] - (4 * 58 - 2)
    last = [pixels[2 * 58 :, left + i * 58 : left + i * 58 + 56] for i in range(4)]
    np.testing.assert_array_equal(last[0][::2, ::2], few.test_images[5, ..., 0])
    assert all((tile == last[0]).all() for tile in last)


def test_of_many_classes_some_have_rows(few: RealImages, tmp_path: Path) -> None:
    """A thousand rows a sheet would be a page that no browser shows."""
    classes = tuple(f"class {label}" for label in range(1000))
    many = replace(few, classes=classes, test_labels=np.array([0, 999, 0, 1, 1, 2]))
    torch.manual_seed(0)
    level = LevelConfig(z_dim=4, batch_size=10, total_images=10)
    config = StackConfig(ImageConfig(1, 28, 28, 1000), EncoderConfig(cut=()), (level,))
    samples = Samples(few.train_images[:4], few.train_labels[:4], 0)
    draw_sheets(Stack(config).eval(), many, samples, tmp_path, columns=2)
    for name in ("samples", "real", "vary_z0", "interpolate_z0"):
        with Image.open(tmp_path / f"{name}.png") as sheet:
            assert 50 * 56 < sheet.height < 52 * 58, name
    ends = _per_class(many, 1, (0, 500, 999))
    np.testing.assert_array_equal(ends[[0, 2]], few.test_images[:2])
    assert (ends[1] == 255).all()


def test_a_class_that_the_test_split_lacks_has_an_empty_row(few: RealImages) -> None:
    held = few.test_labels != 1
    lacking = replace(few, test_images=few.test_images[held], test_labels=few.test_labels[held])
    rows = _per_class(lacking, 4, range(3)).reshape(3, 4, 28, 28)
    assert (rows[1] == 255).all()  # and no image of another class
    assert not (rows[0] == 255).all() and not (rows[2] == 255).all()
