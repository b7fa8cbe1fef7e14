"""The parts in turn: E, the levels side by side, all jointly; each from its files if it is done."""

from __future__ import annotations

import copy
import multiprocessing
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.npz.data import BadInput, Data, features, read_data
from benchmarks.npz.folder import Run
from benchmarks.npz.pace import Plan
from pipeline.errors import UserError
from sgan import weights
from sgan.config import ConfigError, JointConfig, StackConfig, to_dict
from sgan.encoder import Encoder
from sgan.stack import Stack
from sgan.training import classifier
from sgan.training.adversarial import AdversarialTask
from sgan.training.assembly import independent
from sgan.training.assembly import joint as jointly
from sgan.training.loop import TrainingStopped

DONE, FAILED, BAD, TIME = 0, 1, 2, 3  # how a command or a level's process ends


@dataclass
class Training:
    """Everything that a part's training needs, and that travels to a level's process.

    Attributes:
        data: the `.npz`.
        config: the stack's; `total_images` are the most that are seen.
        joint: joint training's; None: none.
        run: the folder.
        plan: the seconds of each part; None: to `total_images`.
        side_by_side: the levels in a process each.
        threads: of a CPU, for one training alone; 0: torch's own number.
    """

    data: Path
    config: StackConfig
    joint: JointConfig | None
    run: Run
    plan: Plan | None
    side_by_side: bool
    threads: int
    starting: float = 0.0  # seconds that the levels took beside their training, in this command

    @property
    def levels(self) -> range:
        """i of every level."""
        return range(self.config.encoder.num_levels)

    @property
    def names(self) -> list[str]:
        """Of all parts."""
        names = ["encoder", *(f"level{i}" for i in self.levels)]
        return names if self.joint is None else [*names, "stack"]

    def read(self) -> Data:
        """The data on the device. Raises BadInput."""
        sizes = [c.batch_size for c in self.config.levels]
        sizes += [self.config.encoder.batch_size, *([self.joint.batch_size] if self.joint else [])]
        return read_data(self.data, self.config.image, self.run.device, max(sizes))

    def stamp(self, data: Data) -> dict[str, Any]:
        """What every part depends on beside its own settings."""
        return {"data": data.digest, "seconds": self.plan and self.plan.seconds}

    def seconds(self, name: str) -> float:
        """What a finished part took."""
        return float(self.run.facts(name)["seconds"])


def outcome(work: Callable[[], int], again: str) -> int:
    """Runs a part's work, which gives its code; says in a line how it ended, if with an error."""
    try:
        return work()
    except TrainingStopped as stop:
        if "as asked" not in str(stop):
            print(f"error: {stop}", file=sys.stderr)
            return FAILED
        print(f"time is up: {stop}, and saved; {again} goes on from there")
        return TIME
    except (BadInput, ConfigError, weights.WeightsError, UserError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD


def train_encoder(training: Training, data: Data) -> Encoder:
    """E, trained or read back, frozen on the device."""
    run, config = training.run, training.config
    settings = {**to_dict(config.encoder), **training.stamp(data)}
    if not run.finished("encoder", settings):
        mean = data.train.float().mean(0) / 255
        task = classifier.pretraining(config.image, config.encoder, mean, device=run.device)
        seconds = training.plan.of_encoder() if training.plan else None
        found = run.train("encoder", task, {0: data.train}, data.train_y, settings, seconds)
        accuracy = classifier.accuracy(task.encoder, data.test, data.test_y)
        print(f"encoder: test accuracy {accuracy:.4f}")
        run.done("encoder", task, {"settings": settings, "test_accuracy": accuracy, **found})
    return weights.load_encoder(run.weights("encoder"), run.device)


def train_levels(training: Training, data: Data, encoder: Encoder) -> int:
    """Every level alone, those side by side in processes of their own; the worst of their codes.

    Raises what a level raises that is trained here.
    """
    if not training.side_by_side or len(training.levels) == 1:
        columns = features(encoder, data.train)
        for i in reversed(training.levels):
            _train_level(training, data, encoder, columns, i)
        return DONE
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_level_process, args=(training, i), daemon=True)
        for i in training.levels
    ]
    began = time.monotonic()
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    took = time.monotonic() - began
    codes = [FAILED if p.exitcode not in (DONE, BAD, TIME) else p.exitcode for p in processes]
    code = next((code for code in (BAD, FAILED, TIME) if code in codes), DONE)
    if code == DONE:
        alone = max(training.seconds(f"level{i}") for i in training.levels)
        training.starting = max(0.0, took - alone)  # nothing where they were trained before
    return code


def _level_process(training: Training, i: int) -> None:
    def work() -> int:
        data = training.read()
        encoder = weights.load_encoder(training.run.weights("encoder"), training.run.device)
        _train_level(training, data, encoder, features(encoder, data.train), i)
        return DONE

    torch.backends.cudnn.benchmark = True
    if training.threads:
        torch.set_num_threads(max(1, training.threads // len(training.levels)))
    sys.exit(outcome(work, f"level {i}: the same command"))


def _train_level(
    training: Training, data: Data, encoder: Encoder, columns: Mapping[int, Tensor], i: int
) -> None:
    state = encoder.state_dict()
    task = independent(training.config, i, state, device=training.run.device)
    seconds = None
    if training.plan:
        seconds = training.plan.of_levels(training.seconds("encoder"))
        if not training.side_by_side:
            seconds /= len(training.levels)
    given = {"encoder": weights_digest(state)}
    train_gan(training, f"level{i}", task, columns, data, given, seconds)


def train_jointly(training: Training, data: Data, encoder: Encoder) -> dict[str, Stack]:
    """All levels with one another, from where each of them alone has come to; the stacks before
    and after it, by name, of which OUT/levels.png and OUT/stack.png show samples."""
    run, state = training.run, encoder.state_dict()
    levels: dict[int, dict[str, Tensor]] = {}
    for i in training.levels:
        levels |= weights.load_levels(run.weights(f"level{i}"))
    settings = training.joint or JointConfig()
    task = jointly(training.config, settings, state, levels, device=run.device)
    stacks = {"levels": copy.deepcopy(task.stack)}
    run.grid("levels", stacks["levels"])
    if training.joint is None:
        return stacks
    seconds = None
    if training.plan:
        alone = [training.seconds(f"level{i}") for i in training.levels]
        taken = max(alone) if training.side_by_side else sum(alone)
        taken += training.starting
        seconds = training.plan.of_joint(training.seconds("encoder"), taken)
    given = {f"level{i}": weights_digest(levels[i]) for i in training.levels}
    given |= {"encoder": weights_digest(state)}
    columns = features(encoder, data.train)
    train_gan(training, "stack", task, columns, data, given, seconds)
    stacks["stack"] = weights.load_stack(run.weights("stack"), run.device)
    run.grid("stack", stacks["stack"])
    return stacks


def weights_digest(tensors: Mapping[str, Tensor]) -> str:
    """Of names and values, so that other weights are not taken for these."""
    found = 0
    for name, tensor in tensors.items():
        found = zlib.crc32(tensor.cpu().numpy().tobytes(), zlib.crc32(name.encode(), found))
    return f"{found:08x}"


def train_gan(
    training: Training,
    name: str,
    task: AdversarialTask,
    columns: Mapping[int, Tensor],
    data: Data,
    given: Mapping[str, str],
    seconds: float | None,
) -> None:
    """The task's levels, unless they are there; weights to OUT/<name>.safetensors.

    given: digests of the weights that the task was put together of, by part.
    """
    run = training.run
    settings: dict[str, Any] = {str(i): to_dict(c) for i, c in task.settings.items()}
    settings |= {"joint": task.joint, "lower_weight": task.lower_weight, **training.stamp(data)}
    settings["given"] = dict(given)
    if run.finished(name, settings):
        return
    needed = {i: columns[i] for i in task.hidden_needed}
    found = run.train(name, task, needed, data.train_y, settings, seconds)
    run.done(name, task, {"settings": settings, **found})
