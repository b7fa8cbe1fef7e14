"""Batches of a part: streamed from shards or held in memory, they are the same."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.data import batches as data_batches
from pipeline.data import feature_writer, features, shard_writer
from pipeline.data.batches import ShardBatches, Shares, batches
from pipeline.data.dataset import Dataset
from pipeline.errors import UserError
from pipeline.params.settings import DataConfig
from sgan.training.batches import TensorBatches

ROWS, BATCH, SEED = 230, 30, 3
STEPS = ROWS // BATCH
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> dict[str, str]:
    """Shards of 50 rows (the last of 30) in which every pixel of row r says r, and features."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (ROWS, 4, 4, 3), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(ROWS)
    labels = np.arange(ROWS, dtype=np.int64) % 7
    test = images[:10], labels[:10]
    dataset = Dataset(images, labels, *test, tuple("abcdefg"), 0)
    settings = DataConfig("custom", "here", shard_images=50, block_images=20)
    shard_writer.write(dataset, folder / "data", settings)
    h1 = np.arange(ROWS, dtype=np.float32)[:, None] * np.ones((1, 5), np.float32)
    feature_writer.write(folder / "features.arrow", {"h1": h1, "y": labels})
    return {"data": str(folder / "data"), "features": str(folder / "features.arrow")}


@dataclass
class Wanted:
    """What the batches ask of a task."""

    hidden_needed: tuple[int, ...]
    batch_size: int
    total_images: int = 10 * ROWS
    seed: int = SEED

    @staticmethod
    def to_h0(pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float() / 255


def make(
    paths, hidden=(0, 1), *, resident_bytes=2**31, window=2, batch_size=BATCH, ranks=(0, 1), **more
):
    """The batches of a task, with the data held in memory unless `resident_bytes` forbids it."""
    return batches(
        Wanted(hidden, batch_size),
        paths["data"],
        *features.columns_of(paths["features"], hidden),
        device=CPU,
        resident_bytes=resident_bytes,
        window=window,
        shares=Shares(*ranks),
        **more,
    )


def same(one, other) -> bool:
    return (
        one.hidden.keys() == other.hidden.keys()
        and all(torch.equal(one.hidden[i], other.hidden[i]) for i in one.hidden)
        and torch.equal(one.y, other.y)
    )


@pytest.mark.parametrize("window", [1, 2, 3, 16])
@pytest.mark.parametrize("start", [0, 1, STEPS - 1, STEPS, STEPS + 4])
def test_streamed_equals_held_over_two_epochs_from_any_step(paths, window, start):
    held = make(paths, window=window)
    streamed = make(paths, window=window, resident_bytes=0)
    assert isinstance(held, TensorBatches)
    assert isinstance(streamed, ShardBatches)
    for index in range(start, 2 * STEPS):
        one, other = held(index), streamed(index)
        assert one.hidden[0].shape == (BATCH, 3, 4, 4)
        assert same(one, other), index


def test_streaming_goes_back_and_repeats(paths):
    streamed = make(paths, resident_bytes=0)
    first = [streamed(index) for index in (4, 5)]
    assert same(streamed(4), first[0])
    assert same(streamed(5), first[1])
    assert not same(*first)


def test_streaming_reads_nothing_beyond_the_last_step_unless_asked(paths, monkeypatch):
    """What a task does at its end may ask for any step."""
    monkeypatch.setattr(Wanted, "total_images", 3 * BATCH)
    streamed, held = make(paths, resident_bytes=0), make(paths)
    for index in (0, 1, 2, 0, 1, 2, 3, 4):
        assert same(streamed(index), held(index)), index


@pytest.mark.parametrize("resident_bytes", [0, 2**31])
def test_features_too_large_for_the_device_are_gathered_from_their_file(paths, resident_bytes):
    """On a device of its own kind: `meta` tells shapes and places without an accelerator."""
    upper = features.columns_of(paths["features"], (1,))[0]
    placed = data_batches._placed(upper, torch.device("meta"), resident_bytes)[1]
    assert isinstance(placed, torch.Tensor) == bool(resident_bytes)
    rows = torch.tensor([3, 1])
    gathered = data_batches._placed(upper, CPU, 0)[1][rows]
    assert gathered[:, 0].tolist() == [3, 1]
    if not resident_bytes:
        assert placed[rows].device.type == "meta" and placed[rows].shape == (2, 5)


def test_every_column_of_a_batch_is_of_the_same_rows(paths):
    for resident_bytes in (0, 2**31):
        batch = make(paths, resident_bytes=resident_bytes)(STEPS + 1)
        rows = (batch.hidden[0][:, 0, 0, 0] * 255).round().long()
        assert torch.equal(batch.hidden[1][:, 0], rows.float())
        assert torch.equal(batch.y, rows % 7)


def test_epochs_differ_and_miss_less_than_a_batch(paths):
    streamed = make(paths, resident_bytes=0)
    epochs = [
        torch.cat([streamed(e * STEPS + i).hidden[1][:, 0] for i in range(STEPS)]).tolist()
        for e in range(2)
    ]
    assert all(len(set(rows)) == STEPS * BATCH for rows in epochs)
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("resident_bytes", [0, 2**31])
def test_ranks_share_each_batch(paths, resident_bytes):
    whole = make(paths, resident_bytes=resident_bytes)
    ranks = [make(paths, resident_bytes=resident_bytes, ranks=(rank, 3)) for rank in range(3)]
    for index in (0, STEPS):
        shares = [one(index) for one in ranks]
        assert [len(share.y) for share in shares] == [BATCH // 3] * 3
        gathered = torch.stack([share.hidden[0] for share in shares], 1).flatten(0, 1)
        assert torch.equal(gathered, whole(index).hidden[0])


def test_upper_levels_open_no_shard(paths, tmp_path):
    """Only the manifest, which says how the rows are cut into shards, and so their order."""
    (tmp_path / "manifest.parquet").write_bytes(
        (Path(paths["data"]) / "manifest.parquet").read_bytes()
    )
    upper = make({**paths, "data": str(tmp_path)}, hidden=(1,))
    with_images = make(paths)
    for index in range(2 * STEPS):
        assert torch.equal(upper(index).hidden[1], with_images(index).hidden[1])
        assert upper(index).hidden.keys() == {1}


@pytest.mark.parametrize("resident_bytes", [0, 2**31])
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"batch_size": 231}, "^batch_size = 231: must be at most the 230 training images"),
        ({"batch_size": 231, "section": "levels.0"}, r"^levels\.0\.batch_size = 231: must"),
        (
            {"batch_size": 30, "ranks": (0, 4)},
            "batch_size = 30: must divide by the part's 4 workers",
        ),
    ],
)
def test_a_batch_that_cannot_be_is_refused(paths, resident_bytes, asked, message):
    with pytest.raises(UserError, match=message):
        make(paths, resident_bytes=resident_bytes, **asked)


@pytest.mark.parametrize("resident_bytes", [0, 2**31])
def test_a_damaged_shard_is_named(paths, tmp_path, resident_bytes):
    folder = tmp_path / "data"
    folder.mkdir()
    for path in Path(paths["data"]).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    shard = folder / "train-00002.tar"
    content = bytearray(shard.read_bytes())
    content[3000] ^= 0xFF
    shard.write_bytes(content)
    with pytest.raises(UserError, match=r"train-00002\.tar is corrupt"):
        damaged = make({**paths, "data": str(folder)}, resident_bytes=resident_bytes)
        for index in range(STEPS):
            damaged(index)
