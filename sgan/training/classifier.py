"""Pretraining E as a classifier (paper, section 3.1), by the same loop as the GANs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sgan.config import EncoderConfig, ImageConfig
from sgan.encoder import Encoder, save_encoder
from sgan.training import precision, schedule
from sgan.training.augment import shift_and_flip
from sgan.training.batch import Batch
from sgan.training.batch_norm import synchronise
from sgan.training.comm import Comm
from sgan.training.optimizers import AdamW
from sgan.training.seeds import mix
from sgan.training.terms import require_finite


def pretraining(
    image: ImageConfig,
    config: EncoderConfig,
    mean_image: Tensor | None = None,
    *,
    device: torch.device | None = None,
    comm: Comm | None = None,
) -> EncoderTask:
    """E's training put together: its nets drawn from the seed, its mean image set.

    Args:
        image: what h_0 is.
        config: E's settings.
        mean_image: float [C, H, W] in [0, 1], of the training images; needed where `image.centre`
            is 'pixel_mean', and not used otherwise.
        device: where to train; the CPU by default.
        comm: the other workers on this part.

    Raises:
        ValueError: 'pixel_mean' without a mean image.
    """
    torch.manual_seed(config.seed)
    encoder = Encoder(image, config)
    if image.centre == "pixel_mean":
        if mean_image is None:
            raise ValueError("image.centre = 'pixel_mean': the training images' mean is needed")
        encoder.mean_image.copy_(mean_image)
    return EncoderTask(encoder, config, device=device, comm=comm)


class EncoderTask:
    """Cross-entropy training of E with AdamW and a one-cycle learning rate.

    Args:
        encoder: with its mean image set.
        config: its settings.
        device: where everything lives.
        comm: the other workers on this part.
    """

    hidden_needed = (0,)

    def __init__(
        self,
        encoder: Encoder,
        config: EncoderConfig,
        *,
        device: torch.device | None = None,
        comm: Comm | None = None,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.comm, self.config = comm or Comm(), config
        self.encoder = encoder.to(self.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.batch_size, self.total_images = config.batch_size, config.total_images
        self.seed, self.to_h0 = config.seed, self.encoder.to_h0
        self.dtype = precision.resolve(config.precision, self.device)
        self.optimizer = AdamW(
            encoder.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.comm.broadcast_(encoder.state_dict().values())
        if self.comm.world_size > 1 and config.batch_norm == "synchronised":
            synchronise(encoder, self.comm)

    def step(self, index: int, batch: Batch) -> dict[str, Tensor]:
        """One optimizer step; returns `loss` and `train_accuracy` (scalars).

        Raises NonFiniteLoss before the optimizer steps.
        """
        torch.manual_seed(mix(self.config.seed, index, self.comm.rank))
        factor = schedule.one_cycle(min(1.0, index * self.batch_size / self.total_images))
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * factor
        h0 = shift_and_flip(batch.hidden[0], self.config.shift_pixels, self.config.horizontal_flip)
        with precision.autocast(self.dtype, self.device):
            logits = self.encoder(h0).float()
        loss = F.cross_entropy(logits, batch.y)
        accuracy = (logits.argmax(1) == batch.y).float().mean()
        terms = {"encoder/loss": loss, "encoder/train_accuracy": accuracy}
        self.optimizer.zero_grad(set_to_none=True)
        self.comm.backward(loss)
        terms = self.comm.average_gradients([self.encoder], terms, self.dtype)
        require_finite(terms, "loss")
        self.optimizer.step()
        return terms

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {"encoder": self.encoder.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.encoder.load_state_dict(state["encoder"])
        self.optimizer.load_state_dict(state["optimizer"])

    def finish(self, batches: Callable[[int], Batch]) -> None:
        """Nothing is left to do after the last step."""

    def save(self, path: Path, about: Mapping[str, Any]) -> None:
        """E's weights to a file whose model card says `about` (JSON types)."""
        save_encoder(path, self.encoder, about)


@torch.no_grad()
def accuracy(encoder: Encoder, pixels: Tensor, y: Tensor, batch_size: int = 1000) -> float:
    """Share of uint8 images [B, C, H, W] whose label [B] E predicts; E in eval mode."""
    encoder.eval()
    device = encoder.mean_image.device
    hits = 0
    for start in range(0, len(y), batch_size):
        rows = slice(start, start + batch_size)
        logits = encoder(encoder.to_h0(pixels[rows].to(device)))
        hits += int((logits.argmax(1) == y[rows].to(device)).sum())
    return hits / len(y)
