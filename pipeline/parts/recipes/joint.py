"""All levels together: h_{i+1} from the generator above (paper, section 3.3)."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from pipeline.data.batches import batches
from pipeline.data.features import columns_of
from sgan.training.adversarial import AdversarialTask
from sgan.training.assembly import joint
from sgan.training.loop import train
from sgan.weights import load_encoder, load_levels

if TYPE_CHECKING:
    from pipeline.parts.part import Part
    from sgan.training.comm import Comm

__all__ = ["batches", "columns", "task", "train"]


def task(part: "Part", device: torch.device, comm: "Comm") -> AdversarialTask:
    """Joint training, put together. Raises WeightsError for weights that do not fit."""
    identity, inputs = part.identity, part.placement.inputs
    assert identity.joint is not None
    encoder = load_encoder(Path(inputs["encoder"])).state_dict()
    levels: dict[int, dict[str, torch.Tensor]] = {}
    for i in range(len(identity.config.levels)) if identity.joint.init == "levels" else ():
        levels |= load_levels(Path(inputs[f"level{i}"]))
    return joint(identity.config, identity.joint, encoder, levels, device=device, comm=comm)


def columns(part: "Part", built: AdversarialTask) -> tuple[dict[int, torch.Tensor], torch.Tensor]:
    """The features that its batches hold, and the labels. Raises UserError."""
    return columns_of(part.placement.inputs["features"], built.hidden_needed)
