"""`sgan sample`: images from the trained stack."""

import argparse
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.errors import UserError


def add(commands: Any) -> None:
    """Add the subcommand."""
    sample = commands.add_parser(
        "sample",
        help="draw images of a class from the trained stack",
        description="Sample y -> ĥ_{N-1} -> … -> x̂ and write a grid as PNG.",
    )
    sample.add_argument("--label", type=int, help="class to draw; default: every class in turn")
    sample.add_argument("--n", type=int, default=64, help="images (default: 64)")
    sample.add_argument("--out", type=Path, required=True, help="PNG file to write")
    sample.add_argument("--seed", type=int, help="same seed, same images; default: new ones")
    sample.add_argument("--columns", type=int, help="images per row; default: a square grid")
    add_weights(sample)
    sample.set_defaults(run=_sample)


def add_weights(command: argparse.ArgumentParser) -> None:
    """The `--weights` option."""
    command.add_argument(
        "--weights",
        type=Path,
        default=paths.STACK_WEIGHTS,
        help=f"trained stack (default: {paths.STACK_WEIGHTS})",
    )


def load(path: Path) -> Any:
    """The trained stack. Raises UserError where the file is missing or damaged."""
    from sgan.weights import WeightsError, load_stack

    try:
        return load_stack(path)
    except WeightsError as error:
        raise UserError(str(error)) from error


def _sample(arguments: argparse.Namespace) -> None:
    if arguments.n < 1:
        raise UserError(f"--n {arguments.n}: must be at least 1")
    if arguments.out.suffix.lower() != ".png":
        raise UserError(f"--out {arguments.out}: must end in .png")
    import torch

    from pipeline.evaluation.grids import grid

    stack = load(arguments.weights)
    classes = stack.config.image.num_classes
    if arguments.label is not None and not 0 <= arguments.label < classes:
        raise UserError(f"--label {arguments.label}: must be 0 to {classes - 1}")
    generator = torch.Generator()
    if arguments.seed is None:
        generator.seed()
    else:
        generator.manual_seed(arguments.seed)
    y = torch.arange(arguments.n) % classes
    if arguments.label is not None:
        y = torch.full((arguments.n,), arguments.label)
    images = stack.sample_uint8(y, generator=generator).numpy()
    columns = arguments.columns or (
        round(arguments.n**0.5) if arguments.label is not None else classes
    )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    grid(images, columns).save(arguments.out)
    print(f"wrote {len(images)} images to {arguments.out}")
