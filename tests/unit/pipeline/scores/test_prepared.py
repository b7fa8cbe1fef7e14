"""The real images of prepared data are those that were written."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.data import shard_writer
from pipeline.data.dataset import Dataset, data_digest
from pipeline.errors import UserError
from pipeline.params.settings import DataConfig
from pipeline.scores.inputs import RealImages
from pipeline.scores.prepared import real_images


def test_both_splits_come_back(real: RealImages, tmp_path: Path) -> None:
    dataset = Dataset(
        real.train_images[:30],
        real.train_labels[:30],
        real.test_images[:20],
        real.test_labels[:20],
        real.classes,
    )
    shard_writer.write(dataset, tmp_path, DataConfig(name="mnist", shard_images=10, block_images=5))
    found = real_images(tmp_path)
    np.testing.assert_array_equal(found.train_images, dataset.train_images)
    np.testing.assert_array_equal(found.test_labels, dataset.test_labels)
    assert (found.classes, found.digest) == (real.classes, data_digest(dataset))


def test_what_was_not_prepared_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        real_images(tmp_path)
