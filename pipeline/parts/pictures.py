"""What a part's generators make while they learn: the same conditions and noise at each point.

A picture is for people. Nothing of the training depends on it: the nets are as they were
afterwards, no random number of the training is drawn, and no key knows of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.data.pixels import png

if TYPE_CHECKING:
    from sgan.stack import Stack

POINTS = 10
_CLASSES, _COLUMNS, _WIDTH = 10, 8, 640
_STRIPS, _FEATURES = 3, 256
_GAP = 2


class Pictures:
    """Pictures of a training at `POINTS` fixed numbers of images, whether or not it was resumed.

    Level 0 draws images of real images' h_1, the joint training of labels. What a level above makes
    is no image, and only G_0, which trains elsewhere, could make one of it: it is shown as it is,
    strips of ĥ_i's values below E's own of the same class.

    Args:
        task: `sgan.training.adversarial.AdversarialTask`.
        columns: by i, h_i float [N, *h_i] of the training images, as far as the task needs them.
        y: their labels, int64 [N].
        total_images: of the whole training.
        images_seen: at the last report before a checkpoint from which training goes on.
    """

    def __init__(
        self,
        task: Any,
        columns: Mapping[int, Tensor],
        y: Tensor,
        total_images: int,
        images_seen: int = 0,
    ) -> None:
        self._stack: Stack = task.stack
        self._device, self._joint = task.device, task.joint
        self._level = task.stack.active[0]
        self._stride = max(1, total_images // POINTS)
        self._total, self._passed = total_images, images_seen // self._stride
        rows = self._rows(y)
        self._y = y[rows].to(self._device)
        self._h = {i: values[rows].to(self._device) for i, values in columns.items()}
        stream = torch.Generator().manual_seed(0)
        self._z = {
            i: torch.rand((len(rows), self._stack.level(i).config.z_dim), generator=stream).to(
                self._device
            )
            for i in self._stack.active
        }

    @property
    def key(self) -> str:
        """What MLflow calls them, whatever the part: "samples", or "features"."""
        return "features" if self._of_features else "samples"

    @property
    def _of_features(self) -> bool:
        return not self._joint and self._level > 0

    def _rows(self, y: Tensor) -> Tensor:
        """The first few training images of each of the first classes, class after class."""
        width = self._stack.config.image.shape[2]
        each = _STRIPS if self._of_features else max(2, min(_COLUMNS, _WIDTH // width))
        classes = range(min(_CLASSES, self._stack.config.image.num_classes))
        return torch.cat([torch.nonzero(y == k).flatten()[:each] for k in classes])

    def due(self, images_seen: int) -> bool:
        """Whether so many images are the first at or after a point; each is due once."""
        point = images_seen // self._stride
        if images_seen < self._total and point <= self._passed:
            return False
        self._passed = point
        return True

    @torch.no_grad()
    def draw(self) -> bytes:
        """The picture now, as the content of a PNG file: of the live generators in eval mode."""
        with _in_eval([self._stack.level(i).generator for i in self._stack.active]):
            if self._joint:
                made = self._stack.sample_hidden(self._y, self._z)[0]
            else:
                above = self._h.get(self._level + 1, self._y)
                made = self._stack.level(self._level).generate(above, self._z[self._level])
        if self._of_features:
            return png(strips(made, self._h[self._level], self._y))
        pixels = self._stack.encoder.to_pixels(made).permute(0, 2, 3, 1).cpu().numpy()
        return png(rows_of(pixels, self._y.cpu().numpy()))


@contextmanager
def _in_eval(nets: list[nn.Module]) -> Iterator[None]:
    """Inside, batch norm takes its running statistics and leaves them alone."""
    for net in nets:
        net.eval()
    try:
        yield
    finally:
        for net in nets:
            net.train()


def rows_of(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W, C] as one uint8 [h, w, C], a class to a row; small ones are doubled."""
    counts = np.unique_counts(labels).counts
    scale = 2 if images.shape[1] < 48 else 1
    height, width, channels = images.shape[1:]
    tall, wide = height * scale + _GAP, width * scale + _GAP
    sheet = np.full((len(counts) * tall, counts.max() * wide, channels), 255, np.uint8)
    for row, label in enumerate(np.unique(labels)):
        for column, image in enumerate(images[labels == label]):
            big = image.repeat(scale, axis=0).repeat(scale, axis=1)
            top, left = row * tall, column * wide
            sheet[top : top + height * scale, left : left + width * scale] = big
    return sheet[:-_GAP, :-_GAP]


def strips(made: Tensor, real: Tensor, y: Tensor) -> np.ndarray:
    """Values as grey uint8 [h, w, 1], a row of 4 pixels a sample, white for the real ones' largest.

    Args:
        made, real: ĥ_i and h_i, float [N, *h_i]; the first values of each are shown.
        y: labels int64 [N]; class by class the real ones come first, then the made ones.
    """
    top = real.flatten(1).max().clamp(min=1e-6)
    low = real.flatten(1).min()
    both = [
        ((values.flatten(1)[:, :_FEATURES].float() - low) / (top - low) * 255)
        .clamp(0, 255)
        .to(torch.uint8)
        .cpu()
        .numpy()
        for values in (real, made)
    ]
    labels, blocks = y.cpu().numpy(), []
    for label in np.unique(labels):
        for values in both:
            blocks.append(values[labels == label].repeat(4, axis=0).repeat(2, axis=1))
            blocks.append(np.full((_GAP, blocks[-1].shape[1]), 255, np.uint8))
        blocks.append(np.full((2 * _GAP, blocks[-1].shape[1]), 255, np.uint8))
    return np.concatenate(blocks[:-2])[..., None]
