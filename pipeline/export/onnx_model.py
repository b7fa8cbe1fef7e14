"""The stack as an ONNX file: labels and z's in, images out, in programs that have no torch."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UserError
from pipeline.storage.atomic import atomic_path

if TYPE_CHECKING:
    import torch

    from sgan.stack import Stack

OUTPUT = "images"


def input_names(stack: Stack) -> list[str]:
    """`label`, then `z_{N-1}` … `z_0`, in the order in which they are used."""
    return ["label", *(f"z_{i}" for i in reversed(range(stack.num_levels)))]


def metadata(stack: Stack, classes: Sequence[str], weights_sha256: str) -> dict[str, str]:
    """What the file says of itself, each value as JSON.

    `classes`: names by label; `z`: length and range of every z_i, which is uniform; `image`:
    channels, height and width; `weights_sha256`: of the stack's file.
    """
    z = {
        f"z_{i}": {"length": stack.level(i).config.z_dim, "low": 0.0, "high": 1.0}
        for i in reversed(range(stack.num_levels))
    }
    image = dict(zip(("channels", "height", "width"), stack.config.image.shape, strict=True))
    values = {"classes": list(classes), "z": z, "image": image, "weights_sha256": weights_sha256}
    return {key: json.dumps(value) for key, value in values.items()}


def export(path: Path, stack: Stack, about: dict[str, str]) -> None:
    """Write the stack's sampling as one ONNX file, atomically.

    Inputs: `label` int64 [batch], and every `z_i` float32 [batch, z_dim] in [0, 1); the output is
    `images`, uint8 [batch, H, W, C]. Batch norm has its running statistics.

    Args:
        path: of the file.
        stack: in eval mode, on the CPU.
        about: the file's metadata.

    Raises UserError where the packages that write ONNX are missing.
    """
    import torch

    class Sampling(torch.nn.Module):
        """`Stack.sample_uint8` of a whole batch, which has only tensors for arguments."""

        def __init__(self) -> None:
            super().__init__()
            self.stack = stack

        def forward(self, label: torch.Tensor, *z: torch.Tensor) -> torch.Tensor:
            """label int64 [B], z_{N-1} … z_0: images uint8 [B, H, W, C]."""
            fixed = dict(zip(reversed(range(stack.num_levels)), z, strict=True))
            h0 = self.stack.sample_hidden(label, fixed)[0]
            return self.stack.encoder.to_pixels(h0).permute(0, 2, 3, 1)

    levels = reversed(range(stack.num_levels))
    z = [torch.zeros(2, stack.level(i).config.z_dim) for i in levels]
    batch = {0: torch.export.Dim("batch")}
    with _quiet():
        program: Any = torch.onnx.export(
            Sampling().eval(),
            (torch.zeros(2, dtype=torch.int64), *z),
            dynamo=True,
            input_names=input_names(stack),
            output_names=[OUTPUT],
            dynamic_shapes=(batch, tuple(batch for _ in z)),
            verbose=False,
        )
    program.model.metadata_props.update(about)
    with atomic_path(path) as temporary:
        program.save(str(temporary), external_data=False)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's own remarks stay out of the way. Raises UserError for a missing package."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"ONNX needs {error.name}: install this project's extra `onnx`, or all of "
            "requirements.lock"
        ) from error
    finally:
        logging.disable(before)
