"""Shards and their manifest: the same data gives the same bytes, and nothing old is left."""

import hashlib
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from pipeline.data import shard_writer, shards, sources
from pipeline.data.dataset import Dataset, Provenance
from pipeline.errors import UserError


def test_manifest_says_what_is_there(dataset, written):
    manifest = shards.Manifest.load(written)
    assert manifest.shard_sizes("train") == [50, 50, 50, 50, 30]
    assert manifest.rows("test") == 30 and manifest.image_shape == (3, 6, 5)
    assert manifest.classes == ("a", "b", "c", "d")
    assert manifest.class_counts["train"] == np.bincount(dataset.train_labels).tolist()
    for name, _, digest in manifest.splits["train"]:
        assert hashlib.sha256((written / name).read_bytes()).hexdigest() == digest
    with pytest.raises(UserError, match="no split 'val'; the manifest has train, test"):
        manifest.rows("val")


def test_mean_image_is_that_of_training(dataset, written):
    mean = shards.Manifest.load(written).mean_image()
    assert mean.shape == (3, 6, 5) and mean.dtype == np.float32
    expected = dataset.train_images.astype(np.float64).mean(axis=0).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(mean, expected, atol=1e-7)


def test_same_data_gives_the_same_bytes(dataset, written, small, tmp_path):
    origin = Provenance("custom", "elsewhere", "npz", dataset.digests, False, ("failed before",))
    shard_writer.write(dataset, tmp_path / "again", small, origin)
    names = sorted(path.name for path in written.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "again").iterdir())
    for name in names:
        assert (written / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_digest_depends_on_the_data_and_not_on_the_shards(dataset, written, settings, tmp_path):
    digest = shards.Manifest.load(written).data_digest
    other = shard_writer.write(dataset, tmp_path / "b", settings(shard_images=7, block_images=3))
    assert other.data_digest == digest
    changed = replace(dataset, train_images=dataset.train_images.copy())
    changed.train_images[100, 2, 2, 0] ^= 1
    assert shard_writer.write(changed, tmp_path / "c", settings()).data_digest != digest


@pytest.mark.parametrize("form", ["npz", "shards"])
def test_a_set_passes_through_with_a_small_part_of_it_in_memory(settings, tmp_path, form):
    """49 MB of images: read, cut, mixed, hashed and written, within a third of that."""
    size, count = 64, 4_000
    rng = np.random.default_rng(0)
    images = np.repeat(rng.integers(0, 256, (count // 10, size, size, 3), np.uint8), 10, axis=0)
    labels = np.sort(np.arange(count) % 4)  # sorted, so that the rows have to be mixed
    if form == "npz":
        source = tmp_path / "a.npz"
        np.savez(source, images=images, labels=labels)
    else:
        source = tmp_path / "shards"
        held = Dataset(images, labels, images[:10], labels[:10], tuple("abcd"))
        shard_writer.write(held, source, settings(block_images=100))
        del held
    whole, chosen = images.nbytes, settings(source=str(source), block_images=100)
    del images
    tracemalloc.start()
    try:
        dataset, provenance = sources.load(chosen)
        shard_writer.write(dataset, tmp_path / "data", chosen, provenance)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < whole / 3


def test_writing_again_leaves_no_old_shards(dataset, written, settings):
    shard_writer.write(dataset, written, settings(shard_images=200))
    assert sorted(path.name for path in written.iterdir()) == [
        "manifest.parquet",
        "test-00000.tar",
        "train-00000.tar",
        "train-00001.tar",
    ]


def test_failure_in_the_middle_leaves_a_manifest_that_tells(dataset, written, settings):
    """The manifest comes last: until then the old one stands, and new shards break its digests."""
    before = (written / "manifest.parquet").read_bytes()
    (written / "test-00000.tar").unlink()
    (written / "test-00000.tar").mkdir()  # cannot be replaced by a file
    with pytest.raises(UserError, match=r"test-00000\.tar cannot be written: a folder lies where"):
        shard_writer.write(dataset, written, settings(shard_images=60, block_images=20))
    assert (written / "manifest.parquet").read_bytes() == before
    assert not [path for path in written.iterdir() if path.name.startswith(".")]
    with pytest.raises(UserError, match=r"train-00000\.tar is corrupt"):
        shards.read_split(written, "train")


@pytest.mark.parametrize("field", ["shard_images", "block_images"])
def test_sizes_below_one(dataset, settings, tmp_path, field):
    with pytest.raises(UserError, match=rf"data\.{field} is 0; it must be at least 1"):
        shard_writer.write(dataset, tmp_path / "data", settings(**{field: 0}))
    assert not (tmp_path / "data").exists()
