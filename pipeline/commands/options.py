"""What several subcommands share: options, the trained stack with its data, PNG files out."""

import argparse
import secrets
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import paths
from pipeline.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from pipeline.data.manifest import Manifest
    from pipeline.scores.studies import Sheet
    from sgan.stack import Stack

_SEEDS = 2**31


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


def add_weights(command: argparse.ArgumentParser) -> None:
    """The `--weights` option."""
    command.add_argument(
        "--weights",
        type=Path,
        default=paths.STACK_WEIGHTS,
        metavar="FILE",
        help=f"trained stack (default: {paths.STACK_WEIGHTS})",
    )


def add_sheet(command: argparse.ArgumentParser) -> None:
    """The options of everything that draws from the stack: `--out`, `--seed`, `--weights`."""
    command.add_argument("--out", type=Path, required=True, metavar="PNG", help="file to write")
    command.add_argument("--seed", type=int, help="same seed, same images; default: a new one")
    add_weights(command)


def taught(description: str, example: str) -> dict[str, Any]:
    """argparse settings of a subcommand: what it does, and an example below its options."""
    return {
        "description": textwrap.fill(description, 90),
        "epilog": f"example:\n  {example}",
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


def load(path: Path) -> "Stack":
    """The trained stack. Raises UserError where the file is missing or damaged."""
    from sgan.weights import WeightsError, load_stack

    try:
        return load_stack(path)
    except WeightsError as error:
        raise UserError(str(error)) from error


def trained(path: Path) -> Trained:
    """The stack of a weights file, with its data as far as this project has it.

    Raises UserError where the file is missing or damaged.
    """
    from sgan.weights import read_card

    stack = load(path)
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


def label_of(text: str, classes: tuple[str, ...]) -> int:
    """A class by its name, or else by its number. Raises UserError for neither."""
    names = [name.lower() for name in classes]
    if text.lower() in names:
        return names.index(text.lower())
    if text.isdecimal() and int(text) < len(classes):
        return int(text)
    named = f", or one of {', '.join(classes)}" if classes != _numbers(len(classes)) else ""
    raise UserError(f"--label {text}: must be 0 to {len(classes) - 1}{named}")


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(str(k) for k in range(count))


def level_of(level: int, stack: "Stack", lowest: int = 0) -> int:
    """`--level`, checked. Raises UserError where the stack has no such level."""
    allowed = [str(i) for i in range(lowest, stack.num_levels)]
    if str(level) not in allowed:
        has = f"must be one of {', '.join(allowed)}" if allowed else "there is none to choose"
        raise UserError(f"--level {level}: {has}; this stack has {stack.num_levels} in all")
    return level


def at_least(name: str, value: int, low: int) -> int:
    """An option's value. Raises UserError where it is below `low`."""
    if value < low:
        raise UserError(f"--{name} {value}: must be at least {low}")
    return value


def ends_in(name: str, path: Path, suffix: str) -> Path:
    """A file to write. Raises UserError for another suffix, before any work is done."""
    if path.suffix.lower() != suffix:
        raise UserError(f"--{name} {path}: must end in {suffix}")
    return path


def seed_of(arguments: argparse.Namespace) -> int:
    """`--seed`, or a new one. Raises UserError where it is negative or too large."""
    if arguments.seed is None:
        return secrets.randbelow(_SEEDS)
    if not 0 <= arguments.seed < _SEEDS:
        raise UserError(f"--seed {arguments.seed}: must be 0 to {_SEEDS - 1}")
    return int(arguments.seed)


def console() -> "Console":
    """Where tables go: as wide as the terminal, or 120 characters where there is none."""
    from rich.console import Console

    on_terminal = Console(highlight=False)
    return on_terminal if on_terminal.is_terminal else Console(highlight=False, width=120)


def write_sheet(arguments: argparse.Namespace, sheet: "Sheet", seed: int, what: str) -> None:
    """Write a sheet to `--out`, atomically, and say so."""
    from pipeline.report.grids import grid
    from pipeline.storage.atomic import atomic_path

    image = grid(
        sheet.images,
        sheet.columns,
        row_labels=sheet.row_labels,
        column_labels=sheet.column_labels,
    )
    with atomic_path(arguments.out) as temporary:
        image.save(temporary, "PNG")
    print(f"wrote {what} to {arguments.out} (again: --seed {seed})")
