"""The two published CIFAR-10 classifiers, as our own modules with the published weights' names.

ResNet-56: He et al. 2015 (arXiv 1512.03385), with 1x1 convolutions as shortcuts. VGG16 with batch
norm: Simonyan and Zisserman 2014 (arXiv 1409.1556), shrunk to 32 pixels. Input x / 255.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import UserError
from pipeline.scores.extractor import place, weights_digest
from pipeline.scores.judge import Judge
from pipeline.scores.judge_network import Classifier


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        inner = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(inner + self.shortcut(x))


class ResNet56(Classifier):
    """float [B, 3, 32, 32] in [0, 1]; features [B, 64]; logits [B, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1, self.layer2, self.layer3 = (
            _stack(16, 16, 1),
            _stack(16, 32, 2),
            _stack(32, 64, 2),
        )
        self.linear = nn.Linear(64, 10)

    def features(self, x: Tensor) -> Tensor:
        """[B, 3, 32, 32] -> [B, 64]."""
        x = functional.relu(self.bn1(self.conv1(x)))
        return self.layer3(self.layer2(self.layer1(x))).mean(dim=(2, 3))

    def classify(self, features: Tensor) -> Tensor:
        """[B, 64] -> [B, 10]."""
        return self.linear(features)


class Vgg16(Classifier):
    """float [B, 3, 32, 32] in [0, 1]; features [B, 512]; logits [B, 10]."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for outputs, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for index in range(repeats):
                layers += [nn.Conv2d(inputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs), nn.ReLU()]
                layers.append(nn.Dropout(0.4) if index + 1 < repeats else nn.MaxPool2d(2))
                inputs = outputs
        self.convolutions = nn.Sequential(*layers)
        self.hidden = nn.Sequential(
            nn.Dropout(), nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout()
        )
        self.last = nn.Linear(512, 10)

    def features(self, x: Tensor) -> Tensor:
        """[B, 3, 32, 32] -> [B, 512]."""
        return self.hidden(torch.flatten(self.convolutions(x), 1))

    def classify(self, features: Tensor) -> Tensor:
        """[B, 512] -> [B, 10]."""
        return self.last(features)


NETWORKS: dict[str, tuple[str, type[Classifier]]] = {
    "resnet56": ("ResNet-56", ResNet56),
    "vgg16_bn": ("VGG16-BN", Vgg16),
}


def published_judge(
    kind: str, state: Mapping[str, Tensor], source: str, device: str | torch.device = "cpu"
) -> Judge:
    """A judge with weights from elsewhere; `source` says from where.

    Raises UserError for an unknown kind.
    """
    if kind not in NETWORKS:
        raise UserError(f"CIFAR-10 judge {kind!r} is unknown; allowed: {', '.join(NETWORKS)}")
    name, make = NETWORKS[kind]
    network = make()
    network.load_state_dict(state)
    place(network.eval().requires_grad_(False), torch.device(device))
    return Judge(
        name,
        network,
        (3, 32, 32),
        10,
        weights_digest(state),
        torch.device(device),
        scale=1 / 255,
        shift=0.0,
        slug=kind,
        facts={"weights": source},
    )


def vgg16_names(name: str) -> str:
    """The published weights' name -> ours: "features.0.weight" -> "convolutions.0.weight"."""
    if name.startswith("features."):
        return "convolutions." + name.removeprefix("features.")
    inside = name.removeprefix("classifier.")
    return "last." + inside.removeprefix("5.") if inside.startswith("5.") else "hidden." + inside


def _stack(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    rest = [ResidualBlock(outputs, outputs, 1) for _ in range(8)]
    return nn.Sequential(ResidualBlock(inputs, outputs, stride), *rest)
