"""Sample k of a seed: y and z follow from (seed, k), and its bytes from nothing else.

What goes through the stack at once is always the same `BLOCK` of samples, however few of them are
asked for: a matrix product may round otherwise in a batch of another size. On a CPU these are the
samples that evaluate draws of that seed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.data.pixels import png
from pipeline.scores.asked import asked
from pipeline.storage.atomic import atomic_path, write_bytes

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.cluster.errand import Told
    from sgan.stack import Stack

BLOCK = 500
ARRAY, SHARD = "samples.npy", "samples.tar"


def key(index: int) -> str:
    """The name of a sample in files: names sort as the samples do."""
    return f"{index:08d}"


def noise(stack: Stack, seed: int, start: int = 0) -> Iterator[dict[int, Tensor]]:
    """z_i float [BLOCK, z_dim] in [0, 1) of every level, block after block without end.

    They are drawn on the CPU, whatever the stack is on, from one stream from the top level down.

    Args:
        stack: says how many z_i there are, and how long.
        seed: of the stream.
        start: the first block.
    """
    import torch

    stream = torch.Generator().manual_seed(seed)
    for block in count():
        drawn = {
            i: torch.rand((BLOCK, stack.level(i).config.z_dim), generator=stream)
            for i in reversed(range(stack.num_levels))
        }
        if block >= start:
            yield drawn


def blocks(
    stack: Stack, frequencies: Sequence[int], seed: int, start: int, stop: int
) -> Iterator[np.ndarray]:
    """Samples `start` to `stop`, uint8 [at most BLOCK, H, W, C] at a time.

    Args:
        stack: in eval mode: batch norm by its running statistics.
        frequencies: of the classes, as `asked` takes them.
        seed: the samples'.
        start: a multiple of BLOCK.
        stop: one more than the last.
    """
    import torch

    device = stack.encoder.mean_image.device
    drawn = noise(stack, seed, start // BLOCK)
    labels = torch.from_numpy(asked(frequencies, start, stop + BLOCK))
    for first in range(start, stop, BLOCK):
        y = labels[first - start :][:BLOCK]
        z = {i: values.to(device) for i, values in next(drawn).items()}
        images = stack.sample_uint8(y.to(device), z=z, batch_size=BLOCK)
        yield images[: stop - first].cpu().numpy()


def draw(
    inputs: Mapping[str, str],
    out: Path,
    told: Told,
    *,
    device: str,
    frequencies: Sequence[int],
    seed: int,
    start: int,
    stop: int,
    encoded: bool,
) -> None:
    """`pipeline.cluster.errand.Work`: samples `start` to `stop` of the stack `inputs["stack"]`, as
    one file in `out`: a WebDataset shard of PNGs (SHARD) where they are to be `encoded`, else an
    array (ARRAY)."""
    from pipeline.parts.device import device_of
    from sgan.weights import load_stack

    stack = load_stack(Path(inputs["stack"]), device_of(device))
    found = []
    for images in blocks(stack, frequencies, seed, start, stop):
        found.append(images)
        told("samples", sum(map(len, found)), stop - start)
    images = np.concatenate(found)
    if encoded:
        write_shard(out / SHARD, images, start, asked(frequencies, start, stop))
        return
    content = io.BytesIO()  # numpy itself would say of a full disk only how much is missing
    np.save(content, images, allow_pickle=False)
    write_bytes(out / ARRAY, content.getvalue())


def write_shard(path: Path, images: np.ndarray, start: int, labels: np.ndarray) -> None:
    """A WebDataset shard: per sample a `png` and its label as `cls`; the same bytes each time.

    Args:
        path: to write, atomically.
        images: uint8 [N, H, W, C], C of 1 (written grey) or 3.
        start: index of the first.
        labels: int [N].
    """
    from webdataset.writer import TarWriter

    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as file,
        TarWriter(file, encoder=False, mtime=0) as tar,
    ):
        for index, (image, label) in enumerate(zip(images, labels, strict=True), start):
            sample: dict[str, Any] = {"__key__": key(index), "png": png(image)}
            tar.write({**sample, "cls": str(label).encode()})
