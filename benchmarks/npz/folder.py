"""The output folder: finished parts, checkpoints, the log, and the clock of the whole command."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.npz.data import BadInput
from benchmarks.npz.pace import Pace, Reporter
from benchmarks.npz.pictures import write_grid
from pipeline.storage.atomic import atomic_path
from sgan import weights
from sgan.stack import Stack
from sgan.training.adversarial import AdversarialTask
from sgan.training.batches import TensorBatches
from sgan.training.loop import Hooks, Task
from sgan.training.loop import train as train_task
from sgan.training.queued import QueuedTask


@dataclass
class Run:
    """One output folder, and how its parts are trained.

    Attributes:
        out: the folder.
        device: where to train.
        resume: go on from what lies in it.
        deadline: of time.monotonic(), at which training stops and is saved.
        save_seconds: between checkpoints.
        graphs: as QueuedTask takes it.
    """

    out: Path
    device: torch.device
    resume: bool = True
    deadline: float = float("inf")
    save_seconds: float = 60.0
    graphs: bool | None = None

    def begin(self, names: Sequence[str]) -> None:
        """Without `resume`, forget what an earlier run left of these parts: a later one that goes
        on would find it in its way."""
        (self.out / "checkpoints").mkdir(parents=True, exist_ok=True)
        for name in () if self.resume else names:
            self.weights(name).unlink(missing_ok=True)
            self.checkpoint(name).unlink(missing_ok=True)

    def weights(self, name: str) -> Path:
        """Where a part's weights lie once it is done."""
        return self.out / f"{name}.safetensors"

    def checkpoint(self, name: str) -> Path:
        """Where a part's checkpoint lies until the part is done."""
        return self.out / "checkpoints" / f"{name}.pt"

    def finished(self, name: str, settings: Mapping[str, Any]) -> bool:
        """Whether this part's weights are there; BadInput where they are of other settings."""
        path = self.weights(name)
        if not path.exists():
            return False
        if weights.read_card(path).get("settings") != settings:
            raise BadInput(f"{path} was trained with other settings: another --out, or --no-resume")
        print(f"{name}: done before, in {path}")
        return True

    def facts(self, name: str) -> dict[str, Any]:
        """What is known of a finished part: images seen, seconds, and what else was said of it."""
        card = weights.read_card(self.weights(name))
        return {key: card[key] for key in ("images", "seconds", "test_accuracy") if key in card}

    def train(
        self,
        name: str,
        task: Task,
        columns: Mapping[int, Tensor],
        y: Tensor,
        settings: Mapping[str, Any],
        seconds: float | None = None,
    ) -> dict[str, Any]:
        """Train a part from its checkpoint or from the start, for so long or to its images.

        Returns its images and seconds. Raises TrainingStopped.
        """
        stepped = task
        if isinstance(task, AdversarialTask):
            stepped = QueuedTask(task, graphs=self.graphs)
        batches = TensorBatches(columns, y, task.to_h0, task.batch_size, task.seed)
        path, start, spent = self.checkpoint(name), 0, 0.0
        if self.resume and path.exists():
            saved = torch.load(path, map_location=self.device, weights_only=True)
            if saved["settings"] != json.dumps(settings):
                raise BadInput(f"{path} is of other settings: another --out, or --no-resume")
            stepped.load_state_dict(saved["state"])
            start, spent = saved["step"], saved["spent"]
            print(f"{name}: goes on at image {start * task.batch_size:,}")
        pace = Pace(stepped, seconds, start * task.batch_size, spent)

        def save(step: int, state: Mapping[str, Any]) -> None:
            kept = {"step": step, "state": state, "settings": json.dumps(settings)}
            with atomic_path(path) as temporary:
                torch.save({**kept, "spent": pace.spent}, temporary)

        def stop() -> bool:
            pace.step()
            return time.monotonic() >= self.deadline

        hooks = Hooks(
            report=Reporter(name, stepped, start * task.batch_size, self.out / "log.jsonl"),
            save=save,
            should_stop=stop,
            report_every=50,
            save_seconds=self.save_seconds,
        )
        train_task(stepped, batches, hooks, start=start)
        return {"images": pace.images, "seconds": round(pace.spent, 1)}

    def done(self, name: str, task: Task, about: Mapping[str, Any]) -> None:
        """Keep a part's weights, whose card says `about`."""
        task.save(self.weights(name), about)
        self.checkpoint(name).unlink(missing_ok=True)

    def grid(self, name: str, stack: Stack) -> None:
        """OUT/<name>.png: a row per class, ten samples each."""
        write_grid(self.out / f"{name}.png", stack, 10)
        stack.train()
