"""A trained stack with the data that it was trained on, as far as the project has it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import paths
from pipeline.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from pipeline.data.manifest import Manifest
    from sgan.stack import Stack


@dataclass(frozen=True)
class Trained:
    """A trained stack and what is known of the data that it was trained on.

    Attributes:
        stack: in eval mode, on the CPU.
        classes: names by label: those of the prepared data where it is the stack's, else numbers.
        manifest: of the prepared data where it is the stack's, else None.
    """

    stack: "Stack"
    classes: tuple[str, ...]
    manifest: "Manifest | None"

    @property
    def frequencies(self) -> tuple[int, ...]:
        """Training images of each class; all the same where the data is not at hand."""
        return (
            tuple(self.manifest.class_counts["train"])
            if self.manifest
            else (1,) * len(self.classes)
        )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.stack.config.image.shape

    def split(self, name: str) -> "tuple[np.ndarray, np.ndarray]":
        """Images uint8 [N, H, W, C] and labels int64 [N] of the prepared data.

        Raises UserError where the project's data is missing or is not the stack's.
        """
        from pipeline.data import shards

        if self.manifest is None:
            raise UserError(
                f"{paths.DATA} does not hold the images that this stack was trained on; run this "
                "in its project, or prepare them with `dvc repro prepare`"
            )
        return shards.read_split(paths.project_root() / paths.DATA, name)


def trained(path: Path) -> Trained:
    """The stack of a weights file, with its data as far as this project has it.

    Raises WeightsError where the file is missing or damaged.
    """
    from sgan.weights import load_stack, read_card

    stack = load_stack(path)
    image = stack.config.image
    manifest = _manifest(read_card(path).get("inputs", {}).get("data"))
    if manifest is None or len(manifest.classes) != image.num_classes:
        return Trained(stack, tuple(str(k) for k in range(image.num_classes)), None)
    return Trained(stack, manifest.classes, manifest)


def _manifest(digest: str | None) -> "Manifest | None":
    """The prepared data's manifest, if that is the data with this digest."""
    from pipeline.data.manifest import FILE, Manifest

    folder = paths.project_root() / paths.DATA
    if digest is None or not (folder / FILE).is_file():
        return None
    manifest = Manifest.load(folder)
    return manifest if manifest.data_digest == digest else None
