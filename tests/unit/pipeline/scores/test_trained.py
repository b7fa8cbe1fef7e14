"""A trained stack knows the classes of its data where the project has that data, and only there."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import paths
from pipeline.data import shard_writer
from pipeline.data.dataset import Dataset
from pipeline.errors import UserError
from pipeline.params.settings import DataConfig
from pipeline.scores.trained import trained
from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig
from sgan.errors import WeightsError
from sgan.stack import Stack
from sgan.weights import save_stack


def weights_of(folder: Path, digest: str | None) -> Path:
    """An untrained stack for 28x28x1 and ten classes, of data with this digest."""
    torch.manual_seed(0)
    config = StackConfig(ImageConfig(1, 28, 28, 10), EncoderConfig(cut=()), (LevelConfig(z_dim=4),))
    path = folder / "stack.safetensors"
    save_stack(path, Stack(config), {"inputs": {"data": digest}} if digest else {})
    return path


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the project."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path


def test_a_stack_without_its_data_numbers_its_classes(empty: Path) -> None:
    model = trained(weights_of(empty, "some digest"))
    assert model.classes == tuple("0123456789")
    assert model.manifest is None
    assert model.image_shape == (1, 28, 28)
    with pytest.raises(UserError, match=r"artifacts/data does not hold the images that this stack"):
        model.split("test")


def test_weights_that_are_not_there_are_told(empty: Path) -> None:
    with pytest.raises(WeightsError, match=r"none.safetensors: no such weights file; train first"):
        trained(Path("none.safetensors"))


def test_the_data_it_was_trained_on_gives_its_names_and_images(empty: Path) -> None:
    images = np.arange(40 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(40, 28, 28, 1)
    labels = np.arange(40) % 10
    names = tuple(f"digit {k}" for k in range(10))
    dataset = Dataset(images, labels, images[:10], labels[:10], names)
    settings = DataConfig(name="custom", source="/x")
    manifest = shard_writer.write(dataset, empty / paths.DATA, settings)
    model = trained(weights_of(empty, manifest.data_digest))
    assert model.classes == names
    found, given = model.split("test")
    assert np.array_equal(found, images[:10]) and np.array_equal(given, labels[:10])
    assert trained(weights_of(empty, "another digest")).manifest is None
