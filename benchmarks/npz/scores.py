"""How good a stack's samples are: FID on Inception, and what a published ResNet-56 reads in them.

The judges' weights are files, or, of Inception, had as `evaluate` has them: nothing is trained.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from benchmarks.npz.data import BadInput, Data
from pipeline.errors import UserError
from pipeline.scores.asked import asked
from pipeline.scores.cifar10_networks import published_judge
from pipeline.scores.extractor import Extractor
from pipeline.scores.inception import Inception
from pipeline.scores.inception_weights import inception_state
from pipeline.storage.atomic import write_bytes
from sgan.metrics.frechet import Moments, frechet_distance, moments
from sgan.stack import Stack

_AT_ONCE = 10_000  # images that are held as an array
_TRIED = 512  # images by which a judge's speed is measured


def judges(
    inception: str, resnet56: Path | None, device: torch.device
) -> tuple[list[Extractor], list[str]]:
    """The judges that there are; and why one is not, where that was left open (`auto`).

    Args:
        inception: 'auto', 'none', or a file as `evaluate.inception_weights` takes it.
        resnet56: safetensors of the CIFAR-10 classifier, as the pipeline's cache has them.
        device: where they look at images.

    Raises BadInput for a file that is none.
    """
    found: list[Extractor] = []
    missing: list[str] = []
    try:
        if inception != "none":
            given = None if inception == "auto" else inception
            found.append(Inception(*inception_state(given), device=device))
    except UserError as error:
        if inception != "auto":
            raise BadInput(f"--inception {inception}: {error}") from error
        missing.append(f"FID on Inception is not measured: {error}")
    if resnet56 is not None:
        try:
            state = load_file(resnet56)
            found.append(published_judge("resnet56", state, resnet56.name, device))
        except (SafetensorError, OSError, RuntimeError) as error:
            raise BadInput(f"--resnet56 {resnet56}: no weights of it ({error})") from error
    return found, missing


def seconds_of(judges: Sequence[Extractor], images: int, shape: tuple[int, int, int]) -> float:
    """Seconds that all the judges take for so many images [H, W, C], by a try."""
    some = np.zeros((_TRIED, *shape), np.uint8)
    spent = 0.0
    for judge in judges:
        judge.outputs(some)  # kernels are chosen
        began = time.perf_counter()
        judge.outputs(some)
        spent += (time.perf_counter() - began) / _TRIED * images
    return spent


def measure(
    stack: Stack, data: Data, judges: Sequence[Extractor], count: int, seed: int, kept: Path
) -> dict[str, Any]:
    """What each judge says of `count` samples, classes as often as in training.

    Of the training images each judge's moments are in the folder `kept` afterwards, and taken from
    there. FID is against these; so is that of the test images, which stands beside it.
    """
    labels = asked(data.frequencies, 0, count)
    generator = torch.Generator(data.train.device).manual_seed(seed)
    y = torch.from_numpy(labels).to(data.train.device)
    began = time.perf_counter()
    stack.eval()
    drawn = [
        stack.sample_uint8(part, generator=generator).cpu().numpy() for part in y.split(_AT_ONCE)
    ]
    took = time.perf_counter() - began
    found: dict[str, Any] = {"samples": count, "seed": seed, "sampling_seconds": round(took, 1)}
    for judge in judges:
        found[judge.slug or "inception"] = _by(judge, drawn, labels, data, kept)
    return found


def _by(
    judge: Extractor, drawn: list[np.ndarray], labels: np.ndarray, data: Data, kept: Path
) -> dict[str, Any]:
    train = kept / f"train-{data.digest}-{judge.identity[:16]}.safetensors"
    reference = _kept(train)
    if reference is None:
        reference, _ = _moments(judge, data.train)
        write_bytes(train, save(_tensors(reference)))
    test, read_test = _moments(judge, data.test)
    sampled, read = _moments(judge, [torch.from_numpy(x).permute(0, 3, 1, 2) for x in drawn])
    row: dict[str, Any] = {
        "fid": frechet_distance(reference, sampled),
        "fid_test_images": frechet_distance(reference, test),
        "n_fake": sampled.count,
        "n_real": reference.count,
        "n_test": test.count,
        "reference": "train",
        **judge.protocol(),
    }
    if read is not None and read_test is not None and judge.num_classes is not None:
        row["gan_test"] = float((read.argmax(1) == labels).mean())
        row["test_accuracy"] = float((read_test.argmax(1) == data.test_y.cpu().numpy()).mean())
    return row


def _moments(judge: Extractor, images: Tensor | list[Tensor]) -> tuple[Moments, np.ndarray | None]:
    """Moments of the judge's features of uint8 [N, C, H, W], and its logits if it has any."""
    parts = images.split(_AT_ONCE) if isinstance(images, Tensor) else images
    seen = [judge.outputs(part.permute(0, 2, 3, 1).cpu().numpy()) for part in parts]
    features = np.concatenate([own for own, _ in seen])
    logits = [own for _, own in seen if own is not None]
    return moments(torch.from_numpy(features)), np.concatenate(logits) if logits else None


def _tensors(found: Moments) -> dict[str, Tensor]:
    named = {"mean": found.mean, "covariance": found.covariance, "root": found.root}
    there = {name: value.contiguous() for name, value in named.items() if value is not None}
    return there | {"count": torch.tensor(found.count)}


def _kept(path: Path) -> Moments | None:
    try:
        found = load_file(path)
        return Moments(
            int(found["count"]), found["mean"], found.get("covariance"), found.get("root")
        )
    except (SafetensorError, OSError, KeyError):
        return None
