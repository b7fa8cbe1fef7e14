"""A level alone: h_{i+1} from the encoder's features (paper, section 3.2)."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from pipeline.data.batches import batches
from pipeline.data.features import columns_of
from sgan.training.adversarial import AdversarialTask
from sgan.training.assembly import independent
from sgan.training.loop import train
from sgan.weights import load_encoder

if TYPE_CHECKING:
    from pipeline.parts.part import Part
    from sgan.training.comm import Comm

__all__ = ["batches", "columns", "task", "train"]


def task(part: "Part", device: torch.device, comm: "Comm") -> AdversarialTask:
    """The level's training, put together. Raises WeightsError for an encoder that does not fit."""
    identity = part.identity
    assert identity.level is not None
    encoder = load_encoder(Path(part.placement.inputs["encoder"])).state_dict()
    return independent(identity.config, identity.level, encoder, device=device, comm=comm)


def columns(part: "Part", built: AdversarialTask) -> tuple[dict[int, torch.Tensor], torch.Tensor]:
    """The features that its batches hold, and the labels. Raises UserError."""
    return columns_of(part.placement.inputs["features"], built.hidden_needed)
