"""What a person looks at to read a stack: sheets of images, each a function of (stack, seed)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from sgan.stack import Stack


@dataclass(frozen=True)
class Sheet:
    """Images uint8 [N, H, W, C], laid out `columns` to a row, with what each row shows."""

    images: np.ndarray
    columns: int
    row_labels: tuple[str, ...] = ()
    column_labels: tuple[str, ...] = ()


def class_samples(
    stack: "Stack",
    classes: tuple[str, ...],
    columns: int = 16,
    seed: int = 0,
    labels: tuple[int, ...] | None = None,
) -> Sheet:
    """A row of samples per class: every z drawn anew."""
    import torch

    chosen = torch.tensor(labels if labels is not None else range(len(classes)))
    y = chosen.repeat_interleave(columns)
    images = stack.sample_uint8(_on(stack, y), generator=_generator(stack, seed))
    return Sheet(_numpy(images), columns, _names(classes, labels))


def vary(
    stack: "Stack",
    classes: tuple[str, ...],
    level: int,
    columns: int = 12,
    seed: int = 0,
    labels: tuple[int, ...] | None = None,
) -> Sheet:
    """A row per class with y and every z fixed but z_level, which is drawn anew in each column.

    Raises KeyError for a level that the stack does not have.
    """
    y, z = _one_of_each(stack, classes, columns, seed, labels)
    z[level] = stack.level(level).draw_z(len(y), _generator(stack, seed + 1))
    images = stack.sample_uint8(y, z)
    return Sheet(_numpy(images), columns, _names(classes, labels))


def interpolate(
    stack: "Stack",
    classes: tuple[str, ...],
    level: int,
    columns: int = 12,
    seed: int = 0,
    labels: tuple[int, ...] | None = None,
) -> Sheet:
    """A row per class: z_level goes straight from one draw to another; all else is fixed.

    Raises KeyError for a level that the stack does not have.
    """
    import torch

    y, z = _one_of_each(stack, classes, columns, seed, labels)
    ends = stack.level(level).draw_z(2 * len(y) // columns, _generator(stack, seed + 1))
    first, last = ends.chunk(2)
    share = torch.linspace(0, 1, columns, device=ends.device)[None, :, None]
    path = first[:, None] * (1 - share) + last[:, None] * share
    z[level] = path.flatten(0, 1)
    return Sheet(_numpy(stack.sample_uint8(y, z)), columns, _names(classes, labels))


def reconstructions(
    stack: "Stack", images: np.ndarray, level: int = 1, draws: int = 3, seed: int = 0
) -> Sheet:
    """Columns of one real image each: the image, then x̂ from its own h_level, z drawn anew.

    Args:
        images: uint8 [N, H, W, C], real.
        level: which h_i is kept of the image, 1 <= level < N.
        draws: reconstructions of each.
    """
    import torch

    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    generator = _generator(stack, seed)
    with torch.no_grad():
        h = stack.encoder.encode(stack.encoder.to_h0(_on(stack, pixels)))[level]
        rows = [_on(stack, pixels)]
        for _ in range(draws):
            rows.append(stack.encoder.to_pixels(stack.decode(h, level, generator=generator)))
    stacked = torch.cat(rows).permute(0, 2, 3, 1)
    names = ("real", *("rebuilt" for _ in range(draws)))
    return Sheet(_numpy(stacked), len(images), names)


def nearest_training(samples: np.ndarray, train: np.ndarray, columns: int = 12) -> Sheet:
    """Samples over their nearest training images by Euclidean pixel distance: is it memorising?

    Args:
        samples: uint8 [M, H, W, C]; the first `columns` are shown.
        train: uint8 [N, H, W, C].
    """
    from pipeline.scores.neighbours import nearest

    shown = samples[:columns]
    _, index = nearest(shown, train)
    return Sheet(np.concatenate([shown, train[index]]), len(shown), ("sample", "nearest in train"))


def _one_of_each(
    stack: "Stack",
    classes: tuple[str, ...],
    columns: int,
    seed: int,
    labels: tuple[int, ...] | None,
) -> "tuple[Tensor, dict[int, Tensor]]":
    import torch

    chosen = torch.tensor(labels if labels is not None else range(len(classes)))
    generator = _generator(stack, seed)
    z = {
        i: stack.level(i).draw_z(len(chosen), generator).repeat_interleave(columns, dim=0)
        for i in stack.active
    }
    return _on(stack, chosen.repeat_interleave(columns)), z


def _names(classes: tuple[str, ...], labels: tuple[int, ...] | None) -> tuple[str, ...]:
    return classes if labels is None else tuple(classes[i] for i in labels)


def _generator(stack: "Stack", seed: int) -> "torch.Generator":
    import torch

    return torch.Generator(stack.encoder.mean_image.device).manual_seed(seed)


def _on(stack: "Stack", tensor: "Tensor") -> "Tensor":
    return tensor.to(stack.encoder.mean_image.device)


def _numpy(images: "Tensor") -> np.ndarray:
    return images.cpu().numpy()
