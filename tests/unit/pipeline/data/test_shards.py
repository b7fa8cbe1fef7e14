import tracemalloc
from dataclasses import replace
from itertools import islice
from pathlib import Path

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


@pytest.mark.parametrize("batch_size", [7, 64, 500])
def test_in_order_gives_every_row_once(dataset, written, batch_size):
    batches = list(shards.in_order(written, "train", batch_size))
    assert [len(batch.rows) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert np.concatenate([batch.rows for batch in batches]).tolist() == list(range(230))
    images = np.concatenate([batch.images for batch in batches])
    np.testing.assert_array_equal(images, dataset.train_images)
    labels = np.concatenate([batch.labels for batch in batches])
    np.testing.assert_array_equal(labels, dataset.train_labels)


def take(written, steps, **choices):
    """The batches of the first `steps` steps."""
    chosen = {"window": 2, "seed": 5, "batch_size": 10, **choices}
    return list(islice(shards.stream(written, "train", **chosen), steps))


@pytest.mark.parametrize("window", [1, 2, 3, 99])
@pytest.mark.parametrize("batch_size", [7, 64, 230])
def test_stream_follows_epoch_order(dataset, written, window, batch_size):
    steps = 230 // batch_size
    batches = take(written, 2 * steps, window=window, batch_size=batch_size)
    for epoch in range(2):
        order = epoch_order([50, 50, 50, 50, 30], window, 5, epoch)[: steps * batch_size]
        rows = [batch.rows for batch in batches[epoch * steps : (epoch + 1) * steps]]
        np.testing.assert_array_equal(np.concatenate(rows), order)
    for batch in batches:
        assert len(batch.rows) == batch_size
        np.testing.assert_array_equal(batch.images, dataset.train_images[batch.rows])
        np.testing.assert_array_equal(batch.labels, dataset.train_labels[batch.rows])


@pytest.mark.parametrize("start", [0, 1, 5, 22, 23, 30, 46])
def test_stream_resumes_in_the_middle(written, start):
    whole, rest = take(written, 60), take(written, 60 - start, start=start)
    for one, other in zip(whole[start:], rest, strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_array_equal(one.images, other.images)


@pytest.mark.parametrize("world_size", [2, 3, 6])
def test_ranks_have_equal_shares_of_every_batch(written, world_size):
    choices = {"batch_size": 12, "window": 2, "start": 3}
    whole = take(written, 40, **choices)
    for rank in range(world_size):
        share = take(written, 40, rank=rank, world_size=world_size, **choices)
        for one, other in zip(whole, share, strict=True):
            for every, mine in zip(one, other, strict=True):
                np.testing.assert_array_equal(every[rank::world_size], mine)


def test_stream_stops_where_it_is_told(written):
    rows = [b.rows for b in take(written, None, start=20, stop=30)]
    assert len(rows) == 10
    np.testing.assert_array_equal(rows, [b.rows for b in take(written, 30)[20:]])
    assert take(written, None, start=5, stop=5) == []


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """Names of the shards that were opened, in order."""
    opened, really = [], shards.open_bytes

    def open_bytes(address):
        opened.append(Path(address).name)
        return really(address)

    monkeypatch.setattr(shards, "open_bytes", open_bytes)
    return opened


def test_no_group_is_read_twice_or_beside_the_steps_asked_for(written, reads):
    """Steps 8 to 14 of an epoch of groups of 50, 50, 50, 50 and 30 rows in some order."""
    order = epoch_order([50, 50, 50, 50, 30], 1, 5, 0)
    take(written, None, window=1, start=8, stop=15)
    needed = dict.fromkeys(f"train-{row // 50:05d}.tar" for row in order[80:150])
    assert reads == list(needed)


def test_a_rank_without_rows_in_a_shard_does_not_read_it(dataset, settings, tmp_path, reads):
    shard_writer.write(dataset, tmp_path, settings(shard_images=1, block_images=1))
    take(tmp_path, None, batch_size=2, rank=1, world_size=2, stop=115)
    assert len(reads) == 115


def test_batches_stay_as_they_are_when_the_next_group_is_read(dataset, written):
    stream = shards.stream(written, "train", window=1, seed=0, batch_size=50)
    first = next(stream)
    next(stream)
    np.testing.assert_array_equal(first.images, dataset.train_images[first.rows])


def test_stream_holds_no_more_than_its_windows(settings, tmp_path):
    """3 MB of images in shards of 77 kB: four of these and a batch take far less than 1 MB."""
    images, labels = np.zeros((4000, 16, 16, 3), np.uint8), np.arange(4000) % 2
    dataset = Dataset(images, labels, images[:10], labels[:10], ("a", "b"))
    shard_writer.write(dataset, tmp_path, settings(shard_images=100, block_images=50))
    take(tmp_path, 1)  # imports
    tracemalloc.start()
    try:
        stream = shards.stream(tmp_path, "train", window=2, seed=0, batch_size=32, stop=125)
        rows = sum(len(batch.rows) for batch in stream)
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
        take(written, 1, window=9)


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


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"window": 0}, "window 0 must be at least 1"),
        ({"batch_size": 231}, "batch_size 231 from 1 to the 230 rows"),
        ({"rank": 2, "world_size": 2}, "rank 2 below 2"),
        ({"world_size": 3}, "batch_size 10 must divide by 3 ranks"),
    ],
)
def test_sizes_that_cannot_be(written, choices, message):
    with pytest.raises(UserError, match=message):
        take(written, 1, **choices)


def test_names_of_classes_survive_as_a_source(dataset, small, settings, tmp_path):
    square = {f"{s}_images": dataset.split(s)[0][:, :5] for s in ("train", "test")}
    dataset = replace(dataset, **square)
    shard_writer.write(dataset, tmp_path, small)
    again, provenance = sources.load(settings(source=str(tmp_path)))
    assert provenance.format == "webdataset" and again.classes == dataset.classes
    np.testing.assert_array_equal(again.train_images, dataset.train_images)
