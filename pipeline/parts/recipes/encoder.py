"""E, pretrained as a classifier on the shards (paper, section 3.1)."""

from typing import TYPE_CHECKING

import torch

from pipeline.data.batches import batches
from pipeline.data.manifest import Manifest
from sgan.training.classifier import EncoderTask, pretraining
from sgan.training.loop import train

if TYPE_CHECKING:
    from pipeline.parts.part import Part
    from sgan.training.comm import Comm

__all__ = ["batches", "columns", "task", "train"]


def task(part: "Part", device: torch.device, comm: "Comm") -> EncoderTask:
    """E's training, put together. Raises UserError for a missing or damaged manifest."""
    config = part.identity.config
    mean = torch.from_numpy(Manifest.load(part.placement.inputs["data"]).mean_image())
    return pretraining(config.image, config.encoder, mean, device=device, comm=comm)


def columns(part: "Part", built: EncoderTask) -> tuple[dict[int, torch.Tensor], None]:
    """Its batches hold images only, and take the labels from the shards."""
    return {}, None
