"""The authors' published files as one of ours: E, single nets, or a whole stack.

Which net a file holds is told by its arrays' shapes, which no two of the nets share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import torch

from sgan.config import EncoderConfig, LevelConfig, StackConfig
from sgan.lasagne import (
    IMAGES,
    LasagneError,
    Slot,
    check_architecture,
    discriminator_slots,
    encoder_slots,
    fill,
    generator_slots,
    read,
)
from sgan.stack import Stack
from sgan.weights import save_encoder, save_levels, save_stack

_ADAPTIVE = ((0.65, 1), (0.5, 3), (0.3, 5), (0.0, 7))
_CIFAR10 = LevelConfig(
    d_objective="class_logits", g_objective="saturating", q_output="linear", g_steps=_ADAPTIVE
)
_LEVELS = {
    "mnist": (LevelConfig(), LevelConfig()),
    "cifar10": (
        replace(_CIFAR10, z_dim=16, instance_noise=0.05, dropout=0.1),
        replace(_CIFAR10, instance_noise=0.2),
    ),
}


@dataclass(frozen=True)
class Imported:
    """What was written.

    Attributes:
        kind: 'encoder', 'levels' or 'stack', as in the file's model card.
        held: the nets read from the files: E, G_1, G_0, D_1, Q_1 …
        fresh: the nets of the written file that no file held; initialised, not trained.
    """

    kind: str
    held: tuple[str, ...]
    fresh: tuple[str, ...]


def convert(
    files: Sequence[Path], out: Path, architecture: str, mean_image: np.ndarray | None = None
) -> Imported:
    """Write the nets that the files hold as safetensors at `out`.

    E alone becomes encoder weights; E with both generators a stack, which can be sampled;
    nets without E the weights of their levels.

    Args:
        files: the authors' `.npz` lists, in any order: pretrained/encoder.npz,
            pretrained/generator.npz, gen_params_*, gen1_params_*, gen0_params_*, disc1_params_*,
            disc0_params_*.
        out: a .safetensors file, written atomically.
        architecture: 'mnist' or 'cifar10'.
        mean_image: float [C, H, W] in [0, 1] that was subtracted from the training images
            (cifar/data/meanimg.npy); zeros where it is not given.

    Raises:
        LasagneError: a file whose arrays fit no net, two that hold the same one, or E beside only
            one generator; nothing is written.
        ConfigError: an architecture of which the authors published no weights.
    """
    check_architecture(architecture)
    torch.manual_seed(0)
    config = StackConfig(
        IMAGES[architecture],
        EncoderConfig(architecture=architecture),
        _LEVELS[architecture],
    )
    stack = Stack(config)
    held: dict[str, Path] = {}
    for path in files:
        nets, slots = _recognise(path, _lists(stack))
        twice = [net for net in nets if net in held]
        if twice:
            raise LasagneError(f"{path}: holds {twice[0]}, as {held[twice[0]]} does; give one")
        fill(path, slots, "encoder" if nets == ("E",) else " and ".join(nets))
        held |= dict.fromkeys(nets, path)
    if mean_image is not None:
        stack.encoder.mean_image.copy_(torch.from_numpy(mean_image))
    stack.level(0).offset.copy_(stack.encoder.mean_image)
    return _write(stack, held, out, [Path(p).name for p in files])


def _write(stack: Stack, held: Iterable[str], out: Path, files: list[str]) -> Imported:
    held = tuple(held)
    about: dict[str, object] = {"origin": "authors' Lasagne weights", "files": files}
    levels = sorted({int(net[-1]) for net in held if net != "E"}, reverse=True)
    if not levels:
        save_encoder(out, stack.encoder, about)
        return Imported("encoder", held, ())
    whole = "E" in held
    if whole and not {"G_1", "G_0"} <= set(held):
        raise LasagneError(
            f"these files hold {', '.join(held)}: a stack is E, G_1 and G_0. Add the generator "
            "that is missing, or leave E out to import levels"
        )
    nets = [f"{kind}_{i}" for kind in "GDQ" for i in levels]
    about |= {"fresh": [net for net in nets if net not in held]}
    if whole:
        save_stack(out, stack, about)
    else:
        part = Stack(stack.config, levels)
        part.levels.load_state_dict(
            {
                name: tensor
                for name, tensor in stack.levels.state_dict().items()
                if int(name.split(".")[0]) in levels
            }
        )
        save_levels(out, part, about)
    fresh = tuple(net for net in nets if net not in held)
    return Imported("stack" if whole else "levels", held, fresh)


def _lists(stack: Stack) -> dict[tuple[str, ...], list[Slot]]:
    """The arrays of every list that the authors' scripts save, by the nets in it."""
    g_1, g_0 = (generator_slots(stack.level(i)) for i in (1, 0))
    lists: dict[tuple[str, ...], list[Slot]] = {
        ("E",): encoder_slots(stack.encoder),
        ("G_1", "G_0"): [*g_1, *g_0],
        ("G_1",): g_1,
        ("G_0",): g_0,
    }
    for i in (1, 0):
        lists[f"D_{i}", f"Q_{i}"] = discriminator_slots(stack.level(i), with_q=True)
        lists[(f"D_{i}",)] = discriminator_slots(stack.level(i), with_q=False)
    return lists


def _recognise(
    path: Path, lists: dict[tuple[str, ...], list[Slot]]
) -> tuple[tuple[str, ...], list[Slot]]:
    """The list whose shapes the file has, or else comes nearest to."""
    shapes = [array.shape for array in read(path)]
    kinds = [len(shape) for shape in shapes]

    def likeness(names: tuple[str, ...]) -> float:
        own = [slot.shape for slot in lists[names]]
        same = SequenceMatcher(None, shapes, own, autojunk=False).ratio()
        return same + SequenceMatcher(None, kinds, [len(s) for s in own], autojunk=False).ratio()

    nets = max(lists, key=likeness)
    return nets, lists[nets]
