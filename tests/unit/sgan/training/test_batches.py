"""Batches by step number: what an epoch covers, ranks, resuming."""

import itertools

import pytest
import torch

from sgan.training.batches import TensorBatches
from sgan.training.order import epoch_order

ROWS = 23


def make(batch_size: int = 4, **kwargs: object) -> TensorBatches:
    """Each row carries its own index in every column, so that batches can be read."""
    index = torch.arange(ROWS)
    pixels = index.to(torch.uint8)[:, None, None, None].expand(ROWS, 1, 2, 2).contiguous()
    columns = {0: pixels, 1: index[:, None].float() * 10}
    return TensorBatches(columns, index, lambda p: p.float() / 255, batch_size, seed=1, **kwargs)


def test_a_batch_holds_the_same_rows_in_every_column() -> None:
    batch = make()(3)
    assert batch.y.shape == (4,)
    assert torch.equal(batch.hidden[1][:, 0], batch.y * 10.0)
    torch.testing.assert_close(batch.hidden[0][:, 0, 0, 0], batch.y / 255)
    assert batch.hidden[0].dtype == torch.float32


def test_an_epoch_sees_no_row_twice_and_leaves_out_less_than_a_batch() -> None:
    batches = make()
    assert batches.steps_per_epoch == 5
    rows = torch.cat([batches.rows(i) for i in range(5)]).tolist()
    assert len(rows) == len(set(rows)) == 20


def test_other_rows_sit_out_in_another_epoch() -> None:
    batches = make()
    left_out = [
        set(range(ROWS)) - set(torch.cat([batches.rows(5 * e + i) for i in range(5)]).tolist())
        for e in range(4)
    ]
    assert all(len(out) == 3 for out in left_out)
    assert len({frozenset(out) for out in left_out}) > 1


def test_a_step_number_alone_fixes_its_batch() -> None:
    """What resuming rests on: any order of asking gives the same batches."""
    forward = [make().rows(i).tolist() for i in range(12)]
    batches = make()
    backward = [batches.rows(i).tolist() for i in reversed(range(12))][::-1]
    assert forward == backward
    assert forward[0] != forward[5]


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_part_each_batch_among_them(world_size: int) -> None:
    whole = make(batch_size=8)
    ranks = [make(batch_size=8, rank=r, world_size=world_size) for r in range(world_size)]
    for index in (0, 1, 5):
        parts = [b.rows(index).tolist() for b in ranks]
        assert {len(p) for p in parts} == {8 // world_size}
        assert sorted(itertools.chain(*parts)) == sorted(whole.rows(index).tolist())


def test_shards_and_window_reach_the_order() -> None:
    batches = make(batch_size=5, shard_sizes=[10, 13], window=1)
    rows = torch.cat([batches.rows(i) for i in range(4)])
    assert rows.tolist() == epoch_order([10, 13], 1, 1, 0)[:20].tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 24}, "batch_size = 24: must be at most the 23 images"),
        ({"batch_size": 5, "world_size": 2}, "batch_size = 5: must divide by 2 workers"),
    ],
)
def test_batches_that_cannot_be(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**arguments)
