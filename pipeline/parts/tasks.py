"""The task of a part: which nets, which settings, and how its weights are saved."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UserError
from pipeline.parts.part import Part

if TYPE_CHECKING:
    import torch

    from sgan.training.comm import Comm
    from sgan.training.loop import Task

_NORM_BATCHES = 100


@dataclass
class Training:
    """A task, and what surrounds it.

    Attributes:
        task: what the loop steps.
        to_h0: uint8 pixels -> h_0.
        hidden: the h_i that its batches must hold.
        seed: fixes the order of the data.
        finish: called with the batches after the last step (averaged weights, batch norm).
        save: writes the weights file, with what the model card says.
    """

    task: "Task"
    to_h0: "Callable[[torch.Tensor], torch.Tensor]"
    hidden: tuple[int, ...]
    seed: int
    finish: "Callable[[Callable[[int], Any]], None]"
    save: "Callable[[Path, Mapping[str, Any]], None]"


def choose_device(name: str) -> "torch.device":
    """The torch device for `auto`, `cpu` or `cuda`. Raises UserError where there is no GPU."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "runtime.device = 'cuda': this machine has no GPU that torch can use; set it to 'auto'"
        )
    return torch.device(name)


def build(part: Part, device: "torch.device", comm: "Comm") -> Training:
    """The task of a part, its nets freshly initialised from the part's seed."""
    import torch

    from sgan.config import EncoderConfig, stack_config_from_dict

    torch.manual_seed(part.settings["seed"])
    if part.kind == "encoder":
        config = stack_config_from_dict(part.stack)
        settings = EncoderConfig(**dict(part.settings, cut=tuple(part.settings["cut"])))
        return _encoder(part, config.image, settings, device, comm)
    return _adversarial(part, device, comm)


def _encoder(part: Part, image: Any, settings: Any, device: Any, comm: Any) -> Training:
    import torch

    from pipeline.data.manifest import Manifest
    from sgan.encoder import Encoder
    from sgan.training.classifier import EncoderTask
    from sgan.weights import save_encoder

    encoder = Encoder(image, settings)
    if image.centre == "pixel_mean":
        mean = Manifest.load(part.paths["data"]).mean_image()
        encoder.mean_image.copy_(torch.from_numpy(mean))
    task = EncoderTask(encoder, settings, device=device, comm=comm)
    return Training(
        task,
        encoder.to_h0,
        (0,),
        settings.seed,
        lambda batch: None,
        lambda path, about: save_encoder(path, encoder, about),
    )


def _adversarial(part: Part, device: "torch.device", comm: "Comm") -> Training:
    from sgan.config import JointConfig, stack_config_from_dict
    from sgan.stack import Stack
    from sgan.training.adversarial import AdversarialTask
    from sgan.weights import load_encoder, load_levels_into, save_levels, save_stack

    config = stack_config_from_dict(part.stack)
    joint = JointConfig(**part.settings) if part.kind == "joint" else None
    active = None if joint else (part.level or 0,)
    encoder = load_encoder(Path(part.paths["encoder"]))
    stack = Stack(config, active).set_encoder(encoder.state_dict())
    settings = stack.level_configs()
    if joint:
        settings = {i: joint.level(c) for i, c in settings.items()}
        stack = Stack(config, active, settings).set_encoder(encoder.state_dict())
        for i in stack.active if joint.init == "levels" else ():
            load_levels_into(stack, Path(part.paths[f"level{i}"]))
    task = AdversarialTask(
        stack,
        settings,
        joint=joint is not None,
        lower_weight=joint.lower_weight if joint else 0.0,
        device=device,
        comm=comm,
    )
    write = save_stack if joint else save_levels

    def finish(batch: Callable[[int], Any]) -> None:
        task.finish(batch(k) for k in range(_NORM_BATCHES))

    return Training(
        task,
        stack.encoder.to_h0,
        task.hidden_needed,
        task.seed,
        finish,
        lambda path, about: write(path, stack, about),
    )
