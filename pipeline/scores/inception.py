"""The standard judge: Inception 2015-12-05 features, for FID, KID, precision, recall and IS."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from pipeline.scores.extractor import check_images, in_batches, place, weights_digest
from pipeline.scores.inception_network import LAST_LAYER, InceptionTrunk

SIZE = 299
NO_LAST_LAYER = (
    "the 1008-way last layer is not in the weights at hand; give evaluate.inception_weights the "
    "path of torch-fidelity's weights-inception-2015-12-05-6726825d.pth"
)


class Inception:
    """An Extractor: uint8 images of any size -> float32 features [N, 2048].

    Grey images are repeated over three channels. Resize: bilinear as TensorFlow 1 did it (corners
    at the origin, no antialiasing), pixels as (p - 128) / 128: what published FIDs use.
    """

    slug = ""
    name = "Inception"
    code = __name__
    num_classes: ClassVar[None] = None  # it reads a thousand of its own
    portion: int | None = 1000
    no_logits = NO_LAST_LAYER

    def __init__(
        self,
        state: dict[str, Tensor],
        source: str,
        *,
        device: str | torch.device = "cpu",
    ) -> None:
        self.device, self.source = torch.device(device), source
        self.digest = weights_digest(state)
        last = state.get(LAST_LAYER)
        self.last_layer = None if last is None else last.to(self.device)
        self.network = InceptionTrunk()
        self.network.load_state_dict({k: v for k, v in state.items() if k != LAST_LAYER})
        place(self.network.eval().requires_grad_(False), self.device)

    @property
    def identity(self) -> str:
        """What its outputs are kept under."""
        return self.digest

    def outputs(
        self, images: np.ndarray, progress: Callable[[int, int], None] | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """`features` and `logits` of images."""
        features = self.features(images, progress)
        return features, self.logits(features)

    def features(
        self, images: np.ndarray, progress: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        """uint8 [N, H, W, C] -> float32 [N, 2048]. `progress(images done, in all)` per batch."""
        check_images(images)
        step = 32 if self.device.type == "cpu" else 256

        def read(part: np.ndarray) -> Tensor:
            return self.network(resize(part, self.device)).cpu()

        return torch.cat(in_batches(read, images, step, self.device, progress)).numpy()

    def logits(self, features: np.ndarray) -> np.ndarray | None:
        """The 1008 logits (no bias, as in the Inception Score); None without the last layer."""
        if self.last_layer is None:
            return None
        return (torch.from_numpy(features) @ self.last_layer.cpu().T).numpy()

    def protocol(self) -> dict[str, str]:
        """Judge, weights' digest and source, resize filter, precision."""
        return {
            "judge": "Inception 2015-12-05",
            "judge_sha256": self.digest,
            "weights": self.source,
            "resize": f"bilinear to {SIZE}, TensorFlow 1 (no antialias)",
            "precision": "float32",
        }


def resize(images: np.ndarray, device: torch.device) -> Tensor:
    """uint8 [B, H, W, C] -> float32 [B, 3, 299, 299] as (p - 128) / 128."""
    pixels = torch.from_numpy(np.array(images)).to(device).permute(0, 3, 1, 2).float()
    high = _interpolation(pixels.shape[2]).to(device)
    wide = _interpolation(pixels.shape[3]).to(device)
    resized = (high @ pixels @ wide.T - 128) / 128
    return resized.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def _interpolation(size: int) -> Tensor:
    """[299, size]: row i mixes the two pixels around i * size / 299."""
    at = torch.arange(SIZE, dtype=torch.float64) * size / SIZE
    lower = at.floor().long()
    upper = (lower + 1).clamp_max(size - 1)
    share = at - lower
    matrix = torch.zeros(SIZE, size, dtype=torch.float64)
    rows = torch.arange(SIZE)
    matrix.index_put_((rows, lower), 1 - share, accumulate=True)
    matrix.index_put_((rows, upper), share, accumulate=True)
    return matrix.float()
