"""The manifest comes back as it was written; a damaged one is one line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.manifest import FILE, Manifest, Shard, join
from pipeline.data.shard_writer import to_parquet
from pipeline.errors import UserError

SPLITS = {
    "train": [Shard("train-00000.tar", 3, "a" * 64), Shard("train-00001.tar", 2, "b" * 64)],
    "test": [Shard("test-00000.tar", 2, "c" * 64)],
}
PER_SHARD = {"train": [[2, 1], [0, 2]], "test": [[1, 1]]}
MANIFEST = Manifest(
    name="custom",
    classes=("Äpfel", 'b"'),
    image_shape=(3, 2, 4),
    splits=SPLITS,
    class_counts={"train": [2, 3], "test": [1, 1]},
    data_digest="d" * 64,
    provenance={"pinned": False, "skipped": 1, "digests": {"train_images": "e"}},
    mean=np.linspace(0, 1, 24, dtype=np.float32).reshape(3, 2, 4),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    to_parquet(MANIFEST, PER_SHARD, tmp_path / FILE)
    return tmp_path


def test_it_comes_back_as_it_was_written(folder: Path) -> None:
    found = Manifest.load(folder)
    np.testing.assert_array_equal(found.mean, MANIFEST.mean)
    assert found.mean.dtype == np.float32
    assert replace(found, mean=MANIFEST.mean) == MANIFEST
    assert Manifest.load(f"{folder}/").data_digest == MANIFEST.data_digest


def test_the_same_manifest_is_the_same_file(folder: Path, tmp_path_factory) -> None:
    """DVC tells by the bytes whether anything changed."""
    other = tmp_path_factory.mktemp("other") / FILE
    to_parquet(Manifest.load(folder), PER_SHARD, other)
    assert other.read_bytes() == (folder / FILE).read_bytes()


def test_rows_and_shards_of_a_split() -> None:
    assert MANIFEST.rows("train") == 5
    assert MANIFEST.shard_sizes("train") == [3, 2]
    assert [shard.shard for shard in MANIFEST.shards("test")] == ["test-00000.tar"]
    with pytest.raises(UserError, match="no split 'valid'; the manifest has train, test"):
        MANIFEST.shards("valid")


def test_the_mean_image_is_the_caller_s_own() -> None:
    MANIFEST.mean_image()[:] = 7
    assert MANIFEST.mean.max() == 1


def test_what_grows_with_the_pixels_is_not_in_the_metadata(tmp_path: Path) -> None:
    """Readers bound a Parquet file's metadata; a photo's mean image may be larger."""
    import pyarrow.parquet as pq

    mean = np.random.default_rng(0).random((3, 1000, 1000), dtype=np.float32)
    large = replace(MANIFEST, image_shape=mean.shape, mean=mean)
    to_parquet(large, PER_SHARD, tmp_path / FILE)
    np.testing.assert_array_equal(Manifest.load(tmp_path).mean, mean)
    assert pq.read_metadata(tmp_path / FILE).serialized_size < 10_000


def test_a_manifest_that_is_not_there_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"manifest.parquet does not exist. Run `dvc repro prep"):
        Manifest.load(tmp_path)


@pytest.mark.parametrize("cut", [0, 4, 200])
def test_a_damaged_manifest_says_how_to_mend_it(folder: Path, cut: int) -> None:
    (folder / FILE).write_bytes((folder / FILE).read_bytes()[:cut])
    with pytest.raises(UserError, match=r"damaged manifest .* Run `dvc repro -f prepare`") as told:
        Manifest.load(folder)
    assert "\n" not in str(told.value)


def test_a_parquet_file_of_something_else_is_damaged_too(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1]}), tmp_path / FILE)
    with pytest.raises(UserError, match=r"damaged manifest \('channels'\)"):
        Manifest.load(tmp_path)


def test_counts_for_another_number_of_shards_are_a_mistake_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zip"):
        to_parquet(MANIFEST, {**PER_SHARD, "train": [[2, 1]]}, tmp_path / FILE)


def test_addresses() -> None:
    assert join("/a/b/", "c") == "/a/b/c"
    assert join("s3://bucket/data", "c") == "s3://bucket/data/c"
