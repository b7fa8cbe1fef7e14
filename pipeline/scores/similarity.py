"""How far apart images look: 1 - SSIM, and LPIPS on an AlexNet trunk with the published heads.

SSIM: Wang et al. 2004, by torchmetrics. LPIPS: Zhang et al. 2018 (arXiv 1801.03924), version 0.1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import UserError
from pipeline.scores.extractor import check_images, place, weights_digest

SMALLEST = 64  # pixels that LPIPS reads; smaller images are enlarged
SMALLEST_SSIM = 6  # the Gaussian window mirrors five pixels over the edge
CONVOLUTIONS = (  # inputs, outputs, kernel, stride, padding
    (3, 64, 11, 4, 2),
    (64, 192, 5, 1, 2),
    (192, 384, 3, 1, 1),
    (384, 256, 3, 1, 1),
    (256, 256, 3, 1, 1),
)
_POOLED_BEFORE = (1, 2)
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_BATCH = 100


def ssim_distance(images: np.ndarray, pairs: int = 100, seed: int = 0) -> float:
    """Mean of 1 - SSIM over the pairs i < j of uint8 [N, H, W, C], or over `pairs` of them drawn.

    In 0..2; 0 for equal images. Gaussian window of 11 pixels, sigma 1.5, one scale. NaN if N < 2.
    Raises UserError for images of less than six pixels.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    check_images(images, "SSIM images")
    if min(images.shape[1:3]) < SMALLEST_SSIM:
        raise UserError(f"SSIM: images need {SMALLEST_SSIM} pixels a side or more")
    if len(images) < 2:
        return float("nan")
    first, second = np.triu_indices(len(images), k=1)
    if len(first) > pairs:
        chosen = np.random.default_rng(seed).permutation(len(first))[:pairs]
        first, second = first[chosen], second[chosen]
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    found = structural_similarity_index_measure(pixels[first], pixels[second], data_range=1.0)
    assert isinstance(found, torch.Tensor)
    return 1 - float(found.mean())


class Lpips(nn.Module):
    """LPIPS as an embedding: |embed(a) - embed(b)|^2 is the distance of a and b.

    The heads are not negative, so their roots scale the normalised maps, and the mean over all
    pairs is twice the variance: no pair has to be visited. Images are enlarged (bilinear) to 64
    pixels where they are smaller; grey ones are repeated over three channels.
    """

    name = "LPIPS on AlexNet"

    def __init__(
        self, state: Mapping[str, Tensor], source: str = "", device: str | torch.device = "cpu"
    ) -> None:
        super().__init__()
        self.device, self.digest, self.source = torch.device(device), weights_digest(state), source
        self.trunk = nn.ModuleList(
            nn.Conv2d(inputs, outputs, kernel, stride, padding)
            for inputs, outputs, kernel, stride, padding in CONVOLUTIONS
        )
        self.heads = nn.ParameterList(torch.zeros(outputs) for _, outputs, *_ in CONVOLUTIONS)
        self.load_state_dict(state)
        if any(bool((head < 0).any()) for head in self.heads):
            raise UserError("LPIPS weights: a head is negative, so this is not version 0.1")
        place(self.eval().requires_grad_(False), self.device)

    def embed(self, images: np.ndarray) -> Tensor:
        """uint8 [N, H, W, C] -> float32 [N, F] on the CPU."""
        check_images(images, "LPIPS images")
        shift = torch.tensor(_SHIFT, device=self.device)[:, None, None]
        scale = torch.tensor(_SCALE, device=self.device)[:, None, None]
        parts = []
        with torch.inference_mode():
            for start in range(0, len(images), _BATCH):
                pixels = torch.from_numpy(images[start : start + _BATCH]).to(self.device)
                x = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
                x = (_enlarged(x).expand(-1, 3, -1, -1) - shift) / scale
                parts.append(self(x).cpu())
        return torch.cat(parts)

    def forward(self, x: Tensor) -> Tensor:
        """Scaled images float [B, 3, H, W] -> embeddings [B, F]."""
        parts = []
        for index, (convolution, head) in enumerate(zip(self.trunk, self.heads, strict=True)):
            if index in _POOLED_BEFORE:
                x = functional.max_pool2d(x, 3, 2)
            x = functional.relu(convolution(x))
            unit = x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)
            area = x.shape[2] * x.shape[3]
            parts.append((unit * (head / area).sqrt()[:, None, None]).flatten(1))
        return torch.cat(parts, 1)

    def mean_distance(self, images: np.ndarray) -> float:
        """Mean LPIPS over the pairs i < j of uint8 [N, H, W, C]; NaN if N < 2."""
        if len(images) < 2:
            return float("nan")
        return float(2 * self.embed(images).var(0).sum())

    def protocol(self) -> dict[str, str]:
        """Judge, weights' digest and source, and how images reach it."""
        return {
            "judge": self.name,
            "judge_sha256": self.digest,
            "weights": self.source,
            "resize": f"bilinear to {SMALLEST} where smaller",
        }


def _enlarged(x: Tensor) -> Tensor:
    if min(x.shape[2:]) >= SMALLEST:
        return x
    factor = SMALLEST / min(x.shape[2:])
    size = [round(side * factor) for side in x.shape[2:]]
    return functional.interpolate(x, size, mode="bilinear", align_corners=False)
