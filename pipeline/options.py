"""Options that several subcommands share, and what their values must be."""

import argparse
import secrets
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import paths
from pipeline.data.class_names import class_of
from pipeline.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.scores.studies import Sheet
    from sgan.stack import Stack

_SEEDS = 2**31


def add_weights(command: Any) -> None:
    """The `--weights` option, of a parser or a group."""
    command.add_argument(
        "--weights",
        type=Path,
        default=paths.STACK_WEIGHTS,
        metavar="FILE",
        help=f"trained stack (default: {paths.STACK_WEIGHTS})",
    )


def add_model(command: Any) -> None:
    """The `--model` option, of a parser or a group."""
    command.add_argument(
        "--model",
        metavar="URI",
        help="registered stack instead: models:/sgan-mnist@champion, models:/sgan-mnist/3",
    )


def add_sheet(command: argparse.ArgumentParser, model: bool = False) -> None:
    """The options of everything that draws from the stack: `--out`, `--seed`, `--weights`, and
    `--model` instead of that where `model` says so."""
    command.add_argument("--out", type=Path, required=True, metavar="PNG", help="file to write")
    command.add_argument("--seed", type=int, help="same seed, same images; default: a new one")
    stack = command.add_mutually_exclusive_group()
    add_weights(stack)
    if model:
        add_model(stack)


def taught(description: str, example: str) -> dict[str, Any]:
    """argparse settings of a subcommand: what it does, and an example below its options."""
    return {
        "description": textwrap.fill(description, 90),
        "epilog": f"example:\n  {example}",
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


def label_of(text: str, classes: tuple[str, ...]) -> int:
    """A class by its name, or else by its number. Raises UserError for neither, and for a name that
    may be one of several."""
    try:
        label = class_of(text, classes)
    except UserError as error:
        raise UserError(f"--label {error}") from None
    if label is not None:
        return label
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


def noise_of(given: list[list[str]], z_dims: dict[int, int]) -> dict[int, list[float]]:
    """`--z I NUMBERS`, by level. Raises UserError for a level or numbers that the stack has not."""
    found: dict[int, list[float]] = {}
    for name, text in given:
        if name not in map(str, z_dims):
            raise UserError(f"--z {name}: must be one of {', '.join(map(str, sorted(z_dims)))}")
        level = int(name)
        try:
            numbers = [float(number) for number in text.split(",")]
        except ValueError as error:
            raise UserError(f"--z {name}: {error}; give numbers with commas between") from None
        if len(numbers) != z_dims[level]:
            raise UserError(
                f"--z {name}: {len(numbers)} numbers; z_{name} of this stack has {z_dims[level]}"
            )
        outside = [number for number in numbers if not 0 <= number <= 1]
        if outside:
            raise UserError(f"--z {name}: {outside[0]}: must be 0 to 1")
        found[level] = numbers
    return found


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
    """Where tables go: as wide as the terminal, or 120 characters where there is none. Brackets
    are text, as in /data/[raw]/pics."""
    from rich.console import Console

    on_terminal = Console(highlight=False, markup=False)
    if on_terminal.is_terminal:
        return on_terminal
    return Console(highlight=False, markup=False, width=120)


def write_sheet(arguments: argparse.Namespace, sheet: "Sheet", seed: int, what: str) -> None:
    """Write a sheet to `--out`, and say how to draw it again."""
    from pipeline.report import sheet_file

    sheet_file.write_sheet(arguments.out, sheet)
    print(f"wrote {what} to {arguments.out} (again: --seed {seed})")
