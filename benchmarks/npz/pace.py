"""How far a training goes: to a number of images, or as far as it comes in some seconds."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sgan.training.loop import Task

ENCODER, LEVELS = 0.1, 0.5  # of a run's time at most; joint training has what is left


class Pace:
    """Ends a task when its time is up or it has seen `most` images; `total_images`, which its
    schedules follow, is what it comes to at the pace so far.

    Args:
        task: about to be stepped.
        seconds: that it has in all; None: `most` images, however long they take.
        images: that it has seen.
        spent: seconds that these took.
    """

    def __init__(
        self, task: Task, seconds: float | None, images: int = 0, spent: float = 0.0
    ) -> None:
        self.task, self.seconds, self.most = task, seconds, task.total_images
        self.images, self._before, self._began = images, spent, time.monotonic()
        if images:
            self._estimate()

    @property
    def spent(self) -> float:
        """Seconds, those of earlier commands included."""
        return self._before + time.monotonic() - self._began

    def step(self) -> None:
        """After each step."""
        self.images += self.task.batch_size
        self._estimate()

    def _estimate(self) -> None:
        if self.seconds is None:
            return
        share = max(self.spent / max(self.seconds, 1e-9), self.images / self.most)
        ends = self.images if share >= 1 else max(self.images + 1, round(self.images / share))
        self.task.total_images = min(self.most, ends)


@dataclass(frozen=True)
class Plan:
    """What a run of some minutes has for each part.

    Attributes:
        seconds: for all trainings together.
    """

    seconds: float

    def of_encoder(self) -> float:
        """Seconds for E at most."""
        return ENCODER * self.seconds

    def of_levels(self, encoder: float) -> float:
        """Seconds for the levels, side by side, when E took `encoder`."""
        return max(0.0, (ENCODER + LEVELS) * self.seconds - encoder)

    def of_joint(self, encoder: float, levels: float) -> float:
        """Seconds for joint training, when E and the slowest level took these."""
        return max(0.0, self.seconds - encoder - levels)


class Reporter:
    """Prints a line every five seconds and appends every report to the log."""

    def __init__(self, name: str, task: Task, images: int, log: Path) -> None:
        self.name, self.task, self.log = name, task, log
        self.images, self.since, self.printed = images, time.monotonic(), 0.0

    def __call__(self, images: int, metrics: Mapping[str, float]) -> None:
        """`images` seen so far; metrics of the last step."""
        now = time.monotonic()
        rate = (images - self.images) / max(now - self.since, 1e-9)
        line = {"part": self.name, "images": images, "images_per_second": round(rate), **metrics}
        with self.log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if now - self.printed < 5 and images < self.task.total_images:
            return
        left = (self.task.total_images - images) / max(rate, 1e-9)
        main = [k for k in metrics if k.endswith(("/loss", "/loss_d_adv", "/loss_g_cond", "_ent"))]
        figures = "  ".join(f"{k.removeprefix('level')} {metrics[k]:.3f}" for k in main)
        total = self.task.total_images
        clock = f"{int(left // 60)} min {int(left % 60):02d} s left"
        print(f"{self.name}: {images:,}/{total:,}  {rate:,.0f} images/s  {clock}  {figures}")
        sys.stdout.flush()
        self.printed, self.since, self.images = now, now, images
