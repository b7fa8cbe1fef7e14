"""The features file: every column is what E says of the same row's image, or there is no file."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.data import features, shard_writer
from pipeline.data.dataset import Dataset
from pipeline.data.encoding import encode_split
from pipeline.errors import UserError
from sgan.config import EncoderConfig, ImageConfig
from sgan.encoder import Encoder

ROWS = 1030  # more than one of its batches, and more than one shard


@pytest.fixture
def dataset() -> Dataset:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (ROWS, 28, 28, 1), dtype=np.uint8)
    labels = rng.integers(0, 10, ROWS)
    return Dataset(images, labels, images[:10], labels[:10], tuple("0123456789"))


@pytest.fixture
def data(dataset: Dataset, settings, tmp_path: Path) -> Path:
    shard_writer.write(dataset, tmp_path / "data", settings(shard_images=600))
    return tmp_path / "data"


def encoder(*cut: str) -> Encoder:
    torch.manual_seed(0)
    return Encoder(ImageConfig(1, 28, 28, 10), EncoderConfig(cut=cut, width=8)).freeze()


def test_columns_are_what_the_encoder_says_in_the_images_order(dataset, data, tmp_path) -> None:
    e, target = encoder("conv2", "fc"), tmp_path / "deep" / "features.arrow"
    assert encode_split(e, data, target, {"encoder": "abc"}) == (["h1", "h2"], ROWS)
    pixels = torch.from_numpy(dataset.train_images).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = e.encode(e.to_h0(pixels))
    for i in (1, 2):
        found = features.read(target, f"h{i}")
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected[i], rtol=1e-4, atol=1e-6)
    assert features.read(target, "y").tolist() == dataset.train_labels.tolist()
    assert features.metadata(target) == {"encoder": "abc"}


def test_one_level_needs_the_labels_only(dataset, data, tmp_path) -> None:
    target = tmp_path / "features.arrow"
    assert encode_split(encoder(), data, target, {}) == ([], ROWS)
    assert features.columns(target) == {"y": (ROWS,)}


def test_a_damaged_shard_is_named_and_nothing_is_written(data, tmp_path) -> None:
    folder = tmp_path / "features"
    folder.mkdir()
    target = folder / "features.arrow"
    target.write_bytes(b"of an earlier encoder")
    shard = data / "train-00001.tar"
    content = bytearray(shard.read_bytes())
    content[3000] ^= 1
    shard.write_bytes(content)
    with pytest.raises(UserError, match=r"train-00001\.tar is corrupt"):
        encode_split(encoder("fc"), data, target, {})
    assert [path.name for path in folder.iterdir()] == ["features.arrow"]
    assert target.read_bytes() == b"of an earlier encoder"
