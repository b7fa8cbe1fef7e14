"""What turns images into features, and how images reach it: shared by every judge."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import UserError
from pipeline.threads import side_by_side

R = TypeVar("R")


class Extractor(Protocol):
    """Whatever turns images into feature vectors: a Judge, or the Inception trunk.

    `name` is for people, `slug` is the part of metric keys that tells whose score it is, `identity`
    is what its outputs are kept under, and `code` the modules that decide them, as
    `pipeline.scores.inputs.Kept` takes them. `num_classes`: of the data whose labels it reads, None
    where its classes are others. `portion`: images whose outputs are kept in one piece, so that an
    interrupted run goes on; None keeps a whole split. `no_logits`: why it has none.
    """

    @property
    def name(self) -> str: ...

    @property
    def slug(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def code(self) -> str: ...

    @property
    def num_classes(self) -> int | None: ...

    @property
    def portion(self) -> int | None: ...

    @property
    def no_logits(self) -> str: ...

    def outputs(
        self, images: np.ndarray, progress: Callable[[int, int], None] | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """uint8 [N, H, W, C] -> features float32 [N, F] and logits float32 [N, K], or None.

        `progress(images done, in all)` is called per batch.
        """
        ...

    def protocol(self) -> dict[str, str]:
        """What a score must say of its judge: name, weights' digest, resize filter."""
        ...


def check_images(images: np.ndarray, what: str = "images") -> None:
    """Raise UserError unless `images` is a non-empty uint8 array [N, H, W, C] with C of 1 or 3."""
    shape, dtype = tuple(np.shape(images)), getattr(images, "dtype", type(images).__name__)
    if dtype != np.uint8 or len(shape) != 4 or 0 in shape or shape[-1] not in (1, 3):
        raise UserError(
            f"{what}: expected a non-empty uint8 array [N, H, W, C] with 1 or 3 channels, got "
            f"{dtype} {list(shape)}; convert floats in [0, 1] by (x * 255).round() and move the "
            f"channels last"
        )


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) over names, dtypes, shapes and bytes of a state dict, in order of name."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}:{tensor.dtype}:{list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def batch_size(image_shape: tuple[int, int, int], device: torch.device) -> int:
    """Images per forward pass: 512 of 32 pixels on a CPU, 8192 on an accelerator; 16 or more."""
    _, height, width = image_shape
    budget = 512 * 32 * 32 * (1 if device.type == "cpu" else 16)
    return max(16, min(8192, budget // (height * width)))


def in_batches(
    read: Callable[[np.ndarray], R],
    images: np.ndarray,
    size: int,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> list[R]:
    """What `read` gives for each batch of the images, without gradients, side by side where the
    device is a CPU; `progress(images done, in all)` is called per batch."""

    def look(start: int) -> R:
        with torch.inference_mode():
            return read(images[start : start + size])

    found, starts = [], range(0, len(images), size)
    for batch in side_by_side(look, starts) if device.type == "cpu" else map(look, starts):
        found.append(batch)
        if progress is not None:
            progress(min(len(found) * size, len(images)), len(images))
    return found


def to_input(images: np.ndarray, scale: float, shift: float, device: torch.device) -> Tensor:
    """uint8 [B, H, W, C] -> float32 [B, C, H, W] in channels_last, p * scale + shift."""
    pixels = torch.from_numpy(np.array(images)).to(device).permute(0, 3, 1, 2)
    return pixels.to(torch.float32).mul_(scale).add_(shift)


def place(network: nn.Module, device: torch.device) -> None:
    """Move a network to the device, its weights in channels_last (faster convolutions)."""
    network.to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
