"""The in-domain judge's network: small, with batch norm, of another make than E."""

from __future__ import annotations

from torch import Tensor, nn


class Classifier(nn.Module):
    """A network cut before its last layer: logits are classify(features(x))."""

    def features(self, x: Tensor) -> Tensor:
        """float [B, C, H, W] -> penultimate features [B, F]."""
        raise NotImplementedError

    def classify(self, features: Tensor) -> Tensor:
        """[B, F] -> logits [B, K]."""
        raise NotImplementedError


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class JudgeNetwork(Classifier):
    """Six 3x3 convolutions with batch norm, more where images are larger than 32 pixels.

    Input float [B, C, H, W] in [-1, 1], H and W of 8 or more; features [B, 128]; logits [B, K].
    Strided convolutions bring any size to 8..16 pixels before the body, so that the cost of an
    image grows slower than its area.
    """

    width = 128

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        channels, height, width = image_shape
        layers = _conv(channels, 32, 5, 2)
        size = (max(height, width) + 1) // 2
        while size > 16:
            layers += _conv(32, 32, 3, 2)
            size = (size + 1) // 2
        layers += _conv(32, 64) + _conv(64, 64) + _conv(64, 128, 3, 2)
        layers += _conv(128, 128) + _conv(128, self.width)
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(self.width, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, 128], the mean of the last map over its pixels."""
        return self.body(x).mean(dim=(2, 3))

    def classify(self, features: Tensor) -> Tensor:
        """[B, 128] -> logits [B, K]."""
        return self.head(features)
