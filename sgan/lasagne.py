"""The authors' weights: Lasagne parameter lists saved as `.npz` (github.com/xunhuang1995/SGAN).

Their scripts write `np.savez(file, *lasagne.layers.get_all_param_values(layer))`: arr_0, arr_1, …
in topological order, inputs of a concatenation from first to last, and within a layer in the
order in which it added its parameters. What differs from torch:

- a dense weight is in × out, and so is a 1×1 convolution's (NINLayer): transposed;
- a convolution (Conv2DDNNLayer, flip_filters=False) is a correlation as torch's: unchanged;
- a deconvolution (AbstractConv2d_gradInputs, filter_flip=True) is the adjoint of a convolution,
  where torch's is the adjoint of a correlation: in × out × kh × kw, turned by half a turn;
- batch norm (their nn.py) lists bias, gain, mean, variance, and takes the layer's bias away;
- G_1 concatenates [z, condition] where ours has [condition, z]: rows of the next weight move.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sgan.architectures.blocks import ConditionedGenerator, Discriminator
from sgan.config import ConfigError, ImageConfig
from sgan.encoder import Encoder
from sgan.level import Level

ARCHITECTURES = ("mnist", "cifar10")
_UNREADABLE = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error)  # what np.load raises
IMAGES = {
    "mnist": ImageConfig(1, 28, 28, 10),
    "cifar10": ImageConfig(3, 32, 32, 10, centre="pixel_mean"),
}


class LasagneError(ValueError):
    """A file that does not hold the parameters asked for; says which arrays do not fit."""


@dataclass(frozen=True)
class Slot:
    """One array of a Lasagne list, and the tensor of ours that it fills.

    Attributes:
        name: our module and Lasagne's name of the parameter, for messages.
        shape: as Lasagne stores it.
        target: ours; of the same size.
        convert: from Lasagne's layout to ours.
    """

    name: str
    shape: tuple[int, ...]
    target: Tensor
    convert: Callable[[np.ndarray], np.ndarray]


def check_architecture(architecture: str) -> None:
    """Raise ConfigError for an architecture of which the authors published no weights."""
    if architecture not in ARCHITECTURES:
        allowed = f"one of {list(ARCHITECTURES)}, of which the authors published weights"
        raise ConfigError("architecture", architecture, allowed)


def encoder_slots(encoder: Encoder) -> list[Slot]:
    """The arrays of E in the order of the authors' list."""
    return [slot for name, module in encoder.named_modules() for slot in _slots(name, module)]


def generator_slots(level: Level) -> list[Slot]:
    """The arrays of G_i in the order of the authors' list."""
    return list(_generator_slots(level))


def discriminator_slots(level: Level, with_q: bool) -> list[Slot]:
    """The arrays of D_i in the order of the authors' list: trunk, Q_i's head if saved, D_i's."""
    net = level.discriminator
    assert isinstance(net, Discriminator)
    return [
        slot
        for part in (("trunk", "recovery", "adversarial") if with_q else ("trunk", "adversarial"))
        for name, module in net.get_submodule(part).named_modules(prefix=part)
        for slot in _slots(f"level{level.index}.{name}", module)
    ]


def _generator_slots(level: Level) -> Iterator[Slot]:
    net = level.generator
    assert isinstance(net, ConditionedGenerator)
    embedded = [m for m in net.embed_z.modules() if isinstance(m, nn.Linear)]
    z_features = embedded[-1].out_features if embedded else level.config.z_dim
    for name, module in net.named_modules():
        first = level.is_top and module is net.body.get_submodule("0")
        yield from _slots(f"level{level.index}.{name}", module, z_features if first else 0)


def _slots(name: str, module: nn.Module, z_first: int = 0) -> Iterator[Slot]:
    """The arrays of one layer in Lasagne's order.

    `z_first`: so many input rows, those of z, stand first in Lasagne's dense weight and last
    in ours.
    """
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        assert module.running_mean is not None and module.running_var is not None
        tensors = (module.bias, module.weight, module.running_mean, module.running_var)
        for label, tensor in zip(("b", "g", "mean", "var"), tensors, strict=True):
            yield Slot(f"{name} {label}", tuple(tensor.shape), tensor, np.asarray)
    elif isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        weight = module.weight
        shape = tuple(weight.shape)
        if isinstance(module, nn.Linear):
            rolled = partial(np.roll, shift=-z_first, axis=0)
            yield Slot(f"{name} W", shape[::-1], weight, lambda w: rolled(w).T)
        elif isinstance(module, nn.ConvTranspose2d):
            yield Slot(f"{name} W", shape, weight, lambda w: w[:, :, ::-1, ::-1])
        elif shape[2:] == (1, 1):
            yield Slot(f"{name} W", shape[1::-1], weight, lambda w: w.T[:, :, None, None])
        else:
            yield Slot(f"{name} W", shape, weight, np.asarray)
        if module.bias is not None:
            yield Slot(f"{name} b", tuple(module.bias.shape), module.bias, np.asarray)


def fill(path: Path, slots: Sequence[Slot], what: str) -> None:
    """Copy a file's arrays into their slots, once all of them fit. Raises LasagneError."""
    arrays = read(path)
    rows = []
    for k in range(max(len(slots), len(arrays))):
        expected = f"{slots[k].name} {slots[k].shape}" if k < len(slots) else "nothing"
        found = str(arrays[k].shape) if k < len(arrays) else "nothing"
        if not (k < len(slots) and k < len(arrays) and slots[k].shape == arrays[k].shape):
            rows.append((f"arr_{k}", expected, found))
    if rows:
        rows.insert(0, ("array", "expected", "found"))
        widths = [max(len(row[c]) for row in rows) for c in range(3)]
        table = "\n".join(
            "  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )
        raise LasagneError(
            f"{path}: not the authors' {what}: {len(rows) - 1} arrays do not fit "
            f"({len(slots)} expected, {len(arrays)} found)\n{table}"
        )
    with torch.no_grad():
        for slot, array in zip(slots, arrays, strict=True):
            slot.target.copy_(torch.from_numpy(np.ascontiguousarray(slot.convert(array))))


def read(path: Path) -> list[np.ndarray]:
    """arr_0 … arr_n of an `.npz`, floating point and finite. Raises LasagneError."""
    try:
        file = np.load(os.fspath(path), allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise LasagneError(f"{path}: one array, not an .npz of arr_0, arr_1, …")
        with file:
            names = [f"arr_{k}" for k in range(len(file.files))]
            if set(names) != set(file.files) or not names:
                found = sorted(file.files)[:12]
                raise LasagneError(f"{path}: must hold arr_0, arr_1, … only; it holds {found}")
            arrays = [file[name] for name in names]
    except LasagneError:
        raise
    except FileNotFoundError:
        raise LasagneError(f"{path}: no such file") from None
    except _UNREADABLE as error:
        raise LasagneError(f"{path}: not a readable .npz of plain numbers ({error})") from error
    for name, array in zip(names, arrays, strict=True):
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise LasagneError(f"{path}: {name} ({array.dtype}) must be finite floating-point")
    return arrays


def read_mean_image(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The mean image of an `.npy`, float [C, H, W] in [0, 1]. Raises LasagneError."""
    try:
        mean = np.load(os.fspath(path), allow_pickle=False)
    except _UNREADABLE as error:
        raise LasagneError(f"{path}: not a readable .npy ({error})") from error
    if not isinstance(mean, np.ndarray) or mean.shape != shape or mean.dtype.kind != "f":
        found = getattr(mean, "shape", "an .npz")
        raise LasagneError(f"{path}: the mean image must be float {shape}; found {found}")
    if not (np.isfinite(mean).all() and 0 <= mean.min() and mean.max() <= 1):
        raise LasagneError(f"{path}: the mean image must lie in [0, 1] (pixels / 255)")
    return mean
