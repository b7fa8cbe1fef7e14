"""What `time_to_quality` sets against each other: four ways to samples of a class in some minutes.

Each trains for the seconds that it is given, on the clock of its own steps only: starts, imports,
the reading of images and all judging are not counted; E, which a stack needs, is. A learning rate
that falls is at 0 when the time is up, and where one stage follows another each has its share.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.dcgan import CPU, DCGAN, TUNED, Settings
from benchmarks.report import ROOT
from benchmarks.step_speed import PlainPort
from pipeline.data.batches import batches
from pipeline.data.encoding import encode_split
from pipeline.data.features import columns_of
from pipeline.memory import keep_freed
from pipeline.params.compose import compose
from pipeline.params.loading import Params, from_values
from pipeline.scores.evaluation import draw
from pipeline.scores.inputs import RealImages, Samples
from sgan.config import ImageConfig, LevelConfig, StackConfig
from sgan.encoder import Encoder
from sgan.stack import Stack
from sgan.training.assembly import independent, joint
from sgan.training.batches import TensorBatches
from sgan.training.classifier import pretraining
from sgan.training.loop import Task
from sgan.training.terms import NonFiniteLoss
from sgan.weights import load_encoder, load_levels, save_encoder

ENCODER, JOINT = 0.15, 0.15  # of the time; the default run's shares, the levels have the rest
RESIDENT = 2**31
_ENCODER, _FEATURES = "encoder.safetensors", "features.arrow"


class Diverged(RuntimeError):
    """A training ended in a loss that is not finite."""


@dataclass(frozen=True)
class Data:
    """The prepared data: the real images, where their shards lie, what they are; and the threads
    of a training that has the cores for itself."""

    real: RealImages | None  # None where only the shards are needed
    folder: Path
    image: ImageConfig
    threads: int


@dataclass(frozen=True)
class Trained:
    """A method's state when `seconds` were spent: images seen by each training, and the samples of
    given labels int64 [N] that a seed draws."""

    seconds: float
    images: dict[str, int]
    draw: Callable[[np.ndarray, int], Samples]


Method = Callable[[Data, int, Sequence[float]], Iterator[Trained]]


def clocked(
    step: Callable[[int, float], None], marks: Sequence[float], most: float = math.inf
) -> Iterator[tuple[float, int]]:
    """Steps until each of the ascending marks is reached, or `most` are done; (seconds spent,
    steps) at each.

    `step` is given its number and the share of the last mark that is spent. What is done between
    two yields is not on the clock. Raises Diverged.
    """
    spent, index = 0.0, 0
    for mark in marks:
        while spent < mark and index < most:
            began = time.perf_counter()
            try:
                step(index, spent / marks[-1])
            except NonFiniteLoss as error:  # which no other process could hand to this one
                raise Diverged(f"step {index}: {error}") from error
            spent += time.perf_counter() - began
            index += 1
        yield spent, index


def fit(
    task: Any, made: Callable[[int], Any], seconds: float, most: float = math.inf
) -> tuple[float, int]:
    """Train a task for so long, or until it has seen `most` images, its schedule ending with
    either; (seconds, images seen: whole batches). `task.total_images` is these then."""

    def step(index: int, progress: float) -> None:
        if progress:  # the images that it will have seen by then, as far as can be told now
            task.total_images = max(1, round(min(most, index * task.batch_size / progress)))
        task.step(index, made(index))

    ((spent, steps),) = clocked(step, [seconds], most / task.batch_size)
    images = steps * task.batch_size
    task.total_images = max(1, images)
    began = time.perf_counter()
    task.finish(made)
    return spent + time.perf_counter() - began, images


def _batches(task: Task, data: Data, features: Path | None = None) -> Callable[[int], Any]:
    upper, y = columns_of(features, task.hidden_needed) if features else ({}, None)
    return batches(task, str(data.folder), upper, y, device=CPU, resident_bytes=RESIDENT)


def _on(threads: int) -> None:
    """As the pipeline sets up a process that trains."""
    torch.set_num_threads(threads)
    keep_freed()


def _seeded(config: StackConfig, seed: int) -> StackConfig:
    encoder = replace(config.encoder, seed=seed)
    return replace(
        config, encoder=encoder, levels=tuple(replace(c, seed=seed) for c in config.levels)
    )


def _encoder(
    config: StackConfig, data: Data, seconds: float, most: float = math.inf
) -> tuple[Encoder, float, int]:
    """E, trained for so long on all threads, or until it has seen `most` images; the seconds, and
    the images that it saw."""
    _on(data.threads)
    task = pretraining(config.image, config.encoder)
    spent, images = fit(task, _batches(task, data), seconds, most)
    return task.encoder.eval(), spent, images


def _encoded(encoder: Encoder, data: Data, folder: Path) -> float:
    """E and h_1 of the training images, written to `folder`; the seconds of the encoding."""
    save_encoder(folder / _ENCODER, encoder, {})
    began = time.perf_counter()
    encode_split(encoder.freeze(), data.folder, folder / _FEATURES, {})
    return time.perf_counter() - began


def default_params(*overrides: str) -> Params:
    """What `make repro` trains by, of this checkout's conf/, with some choices changed."""
    return from_values(compose(overrides, conf=ROOT / "conf"))


def stacked(data: Data, seed: int, marks: Sequence[float]) -> Iterator[Trained]:
    """Ours: E on both cores, then the levels side by side, a core each, then all jointly.

    E sees no more images than by default: G_1 does not follow an E that is trained for longer
    (docs/RESULTS.md, "What more minutes are worth").
    """
    (seconds,) = marks
    params = default_params()
    config = _seeded(params.stack_config(data.image), seed)
    share, most = ENCODER * seconds, config.encoder.total_images
    encoder, spent, seen = _encoder(config, data, share, most)
    images = {"encoder": seen}
    levels: dict[int, dict[str, Tensor]] = {}
    with tempfile.TemporaryDirectory() as inside:
        folder = Path(inside)
        spent += _encoded(encoder, data, folder)
        left = max(0.0, (1 - JOINT) * seconds - spent)
        shards = replace(data, real=None)
        with ProcessPoolExecutor(len(config.levels), get_context("spawn")) as pool:
            futures = [
                pool.submit(_level, config, i, shards, folder, left)
                for i in range(len(config.levels))
            ]
            trained = [future.result() for future in futures]
        for i in range(len(config.levels)):
            levels |= load_levels(folder / f"level{i}.safetensors")
        spent += max(took for took, _ in trained)
        images |= {f"level{i}": count for i, (_, count) in enumerate(trained)}
        _on(data.threads)
        settings = replace(params.joint, seed=seed)
        task = joint(config, settings, encoder.state_dict(), levels)
        made = _batches(task, data, folder / _FEATURES)
        took, images["joint"] = fit(task, made, max(0.0, seconds - spent))
    yield Trained(spent + took, images, drawing(task.stack))


def _level(
    config: StackConfig, level: int, data: Data, folder: Path, seconds: float
) -> tuple[float, int]:
    """One level in a process of its own, its weights to `folder`; seconds, images seen."""
    _on(1)
    task = independent(config, level, load_encoder(folder / _ENCODER).state_dict())
    found = fit(task, _batches(task, data, folder / _FEATURES), seconds)
    task.save(folder / f"level{level}.safetensors", {})
    return found


def one_gan(data: Data, seed: int, marks: Sequence[float]) -> Iterator[Trained]:
    """One GAN from labels to images with G_0's nets and all three losses, by our recipe."""
    (seconds,) = marks
    params = default_params("ablation=dcgan_adv_cond_ent")
    config = _seeded(params.stack_config(data.image), seed)
    encoder, spent, seen = _encoder(config, data, ENCODER * seconds)
    task = independent(config, 0, encoder.state_dict())
    took, images = fit(task, _batches(task, data), max(0.0, seconds - spent))
    yield Trained(spent + took, {"encoder": seen, "level0": images}, drawing(task.stack))


def authors(data: Data, seed: int, marks: Sequence[float]) -> Iterator[Trained]:
    """The plain port of the authors' loop: both levels from E's features for half of the time that
    E leaves, then jointly for the other half, as their two scripts do for 200 epochs each."""
    (seconds,) = marks
    params = default_params("recipe=authors")
    levels = tuple(LevelConfig(seed=seed) for _ in params.levels)
    config = _seeded(replace(params.stack_config(data.image), levels=levels), seed)
    encoder, spent, seen = _encoder(config, data, ENCODER * seconds)
    torch.manual_seed(seed)
    stack = Stack(config).set_encoder(encoder.state_dict()).train()
    columns: dict[int, Tensor] = {0: _pixels(data)}
    with tempfile.TemporaryDirectory() as folder:
        spent += _encoded(stack.encoder, data, Path(folder))
        columns[1] = columns_of(Path(folder) / _FEATURES, (1,))[0][1].clone()
    size = levels[0].batch_size
    made = TensorBatches(columns, _labels(data), stack.encoder.to_h0, size, seed)
    images = {"encoder": seen}
    each = max(0.0, seconds - spent) / 2
    for name, jointly in (("levels", False), ("joint", True)):
        port = PlainPort(stack, (0, 1), jointly, class_logits=False, lower_weight=0.0)
        ((took, steps),) = clocked(lambda index, _, p=port: p.step(made(index)), [each])
        spent, images[name] = spent + took, steps * size
    yield Trained(spent, images, drawing(stack))


def dcgan(
    data: Data, seed: int, marks: Sequence[float], settings: Settings = TUNED
) -> Iterator[Trained]:
    """The conditional DCGAN of tutorials. Its quality knows no end of a schedule: one run."""
    _on(data.threads)
    gan = DCGAN(data.image, seed, settings)
    columns, size = {0: _pixels(data)}, settings.batch
    made = TensorBatches(columns, _labels(data), lambda pixels: pixels / 255, size, seed)

    def step(index: int, _: float) -> None:
        batch = made(index)
        gan.step(batch.hidden[0], batch.y)

    def drawn(labels: np.ndarray, of: int) -> Samples:
        return Samples(gan.sample(torch.from_numpy(labels), of).numpy(), labels, of)

    for spent, steps in clocked(step, marks):
        yield Trained(spent, {"images": steps * size}, drawn)


def drawing(stack: Stack) -> Callable[[np.ndarray, int], Samples]:
    """Samples of a stack, by its running statistics."""

    def drawn(labels: np.ndarray, seed: int) -> Samples:
        return draw(stack.eval(), labels, seed)

    return drawn


def _labels(data: Data) -> Tensor:
    assert data.real is not None
    return torch.from_numpy(data.real.train_labels)


def _pixels(data: Data) -> Tensor:
    assert data.real is not None
    return torch.from_numpy(data.real.train_images).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Contender:
    """A method: how it is called, and whether one run serves all times (else one run a time)."""

    title: str
    train: Method
    snapshots: bool = False


CONTENDERS = {
    "stack": Contender("stacked GAN, our default", stacked),
    "authors": Contender("the authors' loop, plain port", authors),
    "one-gan": Contender("one GAN, G_0's nets, all losses", one_gan),
    "dcgan": Contender("conditional DCGAN", dcgan, snapshots=True),
}
