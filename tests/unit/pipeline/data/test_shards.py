import tracemalloc
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.data import shard_writer, shards, sources
from pipeline.data.dataset import Dataset
from pipeline.errors import UserError
from sgan.training.order import epoch_order


def test_round_trip_in_row_order(dataset, written):
    for split in ("train", "test"):
        images, labels = shards.read_split(written, split)
        np.testing.assert_array_equal(images, dataset.split(split)[0])
        np.testing.assert_array_equal(labels, dataset.split(split)[1])
        assert images.dtype == np.uint8 and labels.dtype == np.int64
        assert images.flags.writeable


@pytest.mark.parametrize("window", [1, 2, 3, 99])
@pytest.mark.parametrize("batch_size", [7, 64, 500])
def test_stream_follows_epoch_order(dataset, written, window, batch_size):
    order = epoch_order([50, 50, 50, 50, 30], window, 5, 2)
    batches = list(
        shards.stream(written, "train", window=window, seed=5, epoch=2, batch_size=batch_size)
    )
    assert [len(batch.rows) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    np.testing.assert_array_equal(np.concatenate([batch.rows for batch in batches]), order)
    for batch in batches:
        np.testing.assert_array_equal(batch.images, dataset.train_images[batch.rows])
        np.testing.assert_array_equal(batch.labels, dataset.train_labels[batch.rows])


@pytest.mark.parametrize("skip", [0, 10, 50, 99, 137, 229, 230, 500])
def test_stream_resumes_in_the_middle(written, skip):
    choices = {"window": 2, "seed": 1, "epoch": 4, "batch_size": 10}
    whole = np.concatenate([b.rows for b in shards.stream(written, "train", **choices)])
    rest = [b.rows for b in shards.stream(written, "train", **choices, skip=skip)]
    np.testing.assert_array_equal(np.concatenate([whole[:0], *rest]), whole[skip:])


def test_resumed_stream_does_not_read_the_groups_before(written):
    first = epoch_order([50, 50, 50, 50, 30], 1, 0, 0)[0] // 50
    (written / f"train-{first:05d}.tar").unlink()
    choices = {"window": 1, "seed": 0, "epoch": 0, "batch_size": 10}
    assert len(list(shards.stream(written, "train", **choices, skip=50))) == 18
    with pytest.raises(UserError, match=rf"train-{first:05d}\.tar does not exist"):
        list(shards.stream(written, "train", **choices))


def test_batches_stay_as_they_are_when_the_next_group_is_read(dataset, written):
    stream = shards.stream(written, "train", window=1, seed=0, epoch=0, batch_size=50)
    first = next(stream)
    next(stream)
    np.testing.assert_array_equal(first.images, dataset.train_images[first.rows])


def test_stream_holds_no_more_than_its_window(settings, tmp_path):
    """3 MB of images in shards of 77 kB: two of these and a batch take far less than 1 MB."""
    images, labels = np.zeros((4000, 16, 16, 3), np.uint8), np.arange(4000) % 2
    dataset = Dataset(images, labels, images[:10], labels[:10], ("a", "b"))
    shard_writer.write(dataset, tmp_path, settings(shard_images=100, block_images=50))
    list(shards.stream(tmp_path, "test", window=2, seed=0, epoch=0, batch_size=32))  # imports
    tracemalloc.start()
    try:
        rows = 0
        for batch in shards.stream(tmp_path, "train", window=2, seed=0, epoch=0, batch_size=32):
            rows += len(batch.rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows == 4000 and peak < 1_000_000


@pytest.mark.parametrize("change", ["flip", "cut", "empty"])
def test_corrupt_shard_is_named(written, change):
    path = written / "train-00002.tar"
    content = bytearray(path.read_bytes())
    if change == "flip":
        content[3000] ^= 1
    path.write_bytes({"flip": bytes(content), "cut": bytes(content[:5000]), "empty": b""}[change])
    with pytest.raises(UserError, match=r"train-00002\.tar is corrupt.*dvc repro -f prepare"):
        shards.read_split(written, "train")
    with pytest.raises(UserError, match=r"train-00002\.tar is corrupt"):
        list(shards.stream(written, "train", window=9, seed=0, epoch=0, batch_size=10))


def test_shards_that_do_not_fit_the_manifest(dataset, written, settings, tmp_path):
    """Intact by digest, and yet other data than announced: a manifest edited by hand."""
    table = pq.read_table(written / "manifest.parquet")
    sizes = table["count"].to_pylist()
    sizes[0] = 49
    edited = table.set_column(2, table.schema.field("count"), [sizes])
    pq.write_table(edited, written / "manifest.parquet")
    with pytest.raises(UserError, match=r"train-00000\.tar does not fit its manifest"):
        shards.read_split(written, "train")


def test_missing_and_damaged_manifest(written, tmp_path):
    with pytest.raises(UserError, match=r"manifest\.parquet does not exist.*dvc repro prepare"):
        shards.read_split(tmp_path, "train")
    path = written / "manifest.parquet"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"manifest\.parquet: damaged manifest"):
        shards.Manifest.load(written)


def test_sizes_below_one(tmp_path):
    with pytest.raises(UserError, match="window 0"):
        next(shards.stream(tmp_path, "train", window=0, seed=0, epoch=0, batch_size=1))


def test_names_of_classes_survive_as_a_source(dataset, small, settings, tmp_path):
    square = {f"{s}_images": dataset.split(s)[0][:, :5] for s in ("train", "test")}
    dataset = replace(dataset, **square)
    shard_writer.write(dataset, tmp_path, small)
    again, provenance = sources.load(settings(source=str(tmp_path)))
    assert provenance.format == "webdataset" and again.classes == dataset.classes
    np.testing.assert_array_equal(again.train_images, dataset.train_images)
