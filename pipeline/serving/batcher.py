"""Micro-batching: what has been asked for while images are drawn is drawn next, together.

No request waits for others to come. A large one takes its share of each batch, so that a small one
behind it waits for a batch, not for all of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch

from pipeline.serving.errors import Refused
from pipeline.serving.questions import Order

MOST_WAITING = 2048
_BATCH = 32  # images
_SHARE = 8  # of one order in a batch, while others wait


@dataclass
class _Job:
    order: Order
    done: asyncio.Future[np.ndarray]
    parts: list[np.ndarray] = field(default_factory=list)
    begun: int = 0

    @property
    def left(self) -> int:
        return len(self.order) - self.begun


class Batcher:
    """Draws orders on one thread.

    Args:
        drawn: told the number of images of every batch.
        most_waiting: images that may wait; more are refused.

    Attributes:
        waiting: images that were asked for and are not drawn.
    """

    def __init__(
        self, drawn: Callable[[int], None] = lambda _: None, most_waiting: int = MOST_WAITING
    ) -> None:
        self.waiting = 0
        self._drawn, self._most = drawn, most_waiting
        self._jobs: deque[_Job] = deque()
        self._thread = ThreadPoolExecutor(1, "draw")
        self._task: asyncio.Task[None] | None = None

    async def images(self, order: Order) -> np.ndarray:
        """uint8 [n, H, W, C]. Raises Refused (503) where too many wait already."""
        if self.waiting + len(order) > self._most and self.waiting:
            raise Refused(503, f"{self.waiting} images are being drawn already; ask again later")
        loop = asyncio.get_running_loop()
        job = _Job(order, loop.create_future())
        self._jobs.append(job)
        self.waiting += len(order)
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._draw())
        return await job.done

    def close(self) -> None:
        """End the thread once it has drawn what it draws now."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _draw(self) -> None:
        loop = asyncio.get_running_loop()
        while self._jobs:
            batch = self._next()
            if not batch:
                break
            try:
                images = await loop.run_in_executor(self._thread, _drawn, batch)
            except Exception as error:
                self._fail(batch, error)
                continue
            self._drawn(len(images))
            self._hand_out(batch, images)

    def _next(self) -> list[tuple[_Job, slice]]:
        """Rows of the jobs in front, all of one model; a job that is not done goes to the end."""
        while self._jobs and self._jobs[0].done.done():  # the client has left
            self._drop(self._jobs.popleft())
        if not self._jobs:
            return []
        model, room = self._jobs[0].order.model, _BATCH
        share = _BATCH if len(self._jobs) == 1 else _SHARE
        batch, passed = [], []
        while self._jobs and room:
            job = self._jobs.popleft()
            if job.done.done():
                self._drop(job)
                continue
            if job.order.model is not model:
                passed.append(job)
                continue
            rows = min(share, room, job.left)
            batch.append((job, slice(job.begun, job.begun + rows)))
            job.begun += rows
            room -= rows
        self._jobs.extendleft(reversed(passed))
        self._jobs.extend(job for job, _ in batch if job.left)
        return batch

    def _hand_out(self, batch: list[tuple[_Job, slice]], images: np.ndarray) -> None:
        start = 0
        for job, rows in batch:
            count = rows.stop - rows.start
            job.parts.append(images[start : start + count])
            start += count
            self.waiting -= count
            if rows.stop == len(job.order) and not job.done.done():
                job.done.set_result(np.concatenate(job.parts))

    def _fail(self, batch: list[tuple[_Job, slice]], error: Exception) -> None:
        for job, rows in batch:
            self.waiting -= rows.stop - rows.start
            if not job.done.done():
                job.done.set_exception(error)

    def _drop(self, job: _Job) -> None:
        self.waiting -= job.left


def _drawn(batch: list[tuple[_Job, slice]]) -> np.ndarray:
    model = batch[0][0].order.model
    y = torch.cat([job.order.y[rows] for job, rows in batch])
    z = {i: torch.cat([job.order.z[i][rows] for job, rows in batch]) for i in model.z_dims}
    return model.drawer.images(y, z).numpy()
