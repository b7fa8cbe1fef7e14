"""Batches: who is drawn with whom, how large ones share, and what happens to a failure."""

import asyncio

import numpy as np
import pytest

from pipeline.serving.batcher import Batcher
from pipeline.serving.errors import Refused
from pipeline.serving.model import load
from pipeline.serving.questions import Samples, order
from pipeline.serving.sources import WeightsFile
from tests.stacks import write_stack


def asked(model, count=1, seed=0, label=1):
    return order(Samples(label=label, seed=seed), model, count)


def drawn(order):
    return order.model.drawer.images(order.y, order.z).numpy()


def test_what_waits_is_drawn_together_and_handed_to_whom_it_belongs(model):
    sizes: list[int] = []
    orders = [asked(model, 1 + k % 3, seed=10 * k, label=k % 10) for k in range(12)]

    async def all_at_once():
        batcher = Batcher(sizes.append)
        got = await asyncio.gather(*(batcher.images(order) for order in orders))
        assert batcher.waiting == 0
        batcher.close()
        return got

    for order_, images in zip(orders, asyncio.run(all_at_once()), strict=True):
        assert np.array_equal(images, drawn(order_))
    assert sum(sizes) == sum(map(len, orders))
    assert len(sizes) < len(orders)


def test_a_small_order_does_not_wait_for_all_of_a_large_one(tmp_path):
    source = WeightsFile(write_stack(tmp_path / "slow.safetensors", width=1.0))
    model = load(source, source.version())
    ended: list[str] = []

    async def both():
        batcher = Batcher()

        async def ask(name, count):
            await batcher.images(asked(model, count))
            ended.append(name)

        large = asyncio.create_task(ask("large", 200))
        await asyncio.sleep(0.01)
        await asyncio.gather(large, ask("small", 1))
        batcher.close()

    asyncio.run(both())
    assert ended == ["small", "large"]


def test_orders_of_two_models_are_not_mixed(model, weights, tmp_path):
    source = WeightsFile(write_stack(tmp_path / "other.safetensors", seed=4))
    other = load(source, source.version())
    orders = [asked(m, 2, seed=k) for k, m in enumerate((model, other, model, other))]

    async def mixed():
        batcher = Batcher()
        got = await asyncio.gather(*(batcher.images(order) for order in orders))
        batcher.close()
        return got

    for order_, images in zip(orders, asyncio.run(mixed()), strict=True):
        assert np.array_equal(images, drawn(order_))


def test_too_many_are_refused_and_the_others_answered(model):
    async def many():
        batcher = Batcher(most_waiting=10)
        first = asyncio.create_task(batcher.images(asked(model, 9)))
        await asyncio.sleep(0)
        with pytest.raises(Refused, match="9 images are being drawn already") as refused:
            await batcher.images(asked(model, 2))
        assert refused.value.status == 503
        assert len(await first) == 9
        assert len(await batcher.images(asked(model, 2))) == 2
        batcher.close()

    asyncio.run(many())


def test_a_failure_is_told_to_those_it_concerns_and_the_next_is_drawn(model):
    broken = asked(model)
    broken.z[0] = broken.z[0][:, :2]

    async def one_after_the_other():
        batcher = Batcher()
        with pytest.raises(RuntimeError):
            await batcher.images(broken)
        assert batcher.waiting == 0
        assert len(await batcher.images(asked(model))) == 1
        batcher.close()

    asyncio.run(one_after_the_other())


def test_who_has_left_is_not_drawn_to_the_end(model):
    sizes: list[int] = []

    async def leaving():
        batcher = Batcher(sizes.append)
        task = asyncio.create_task(batcher.images(asked(model, 256)))
        await asyncio.sleep(0.01)
        task.cancel()
        assert len(await batcher.images(asked(model))) == 1
        await asyncio.sleep(0.05)
        assert batcher.waiting == 0
        batcher.close()

    asyncio.run(leaving())
    assert sum(sizes) < 256
