"""`sgan sample`, `vary`, `interpolate`: images from the trained stack, and what its noise does."""

import argparse
from typing import TYPE_CHECKING, Any

from pipeline import options

if TYPE_CHECKING:
    from pipeline.scores.studies import Sheet


def add(commands: Any) -> None:
    """Add the subcommands."""
    sample = commands.add_parser(
        "sample",
        help="draw images of a class from the trained stack",
        **options.taught(
            "Sample y -> ĥ_{N-1} -> … -> x̂ (paper, section 3.4), every z drawn anew. Image k of "
            "--seed S is the first one of --seed S+k, and what `sgan serve` draws for that.",
            "sgan sample --label 3 --n 64 --out threes.png",
        ),
    )
    sample.add_argument("--label", help="class to draw: number or name; default: all in turn")
    sample.add_argument("--n", type=int, default=64, help="images (default: 64)")
    sample.add_argument("--columns", type=int, help="images per row; default: a square grid")
    sample.add_argument(
        "--z",
        nargs=2,
        action="append",
        default=[],
        metavar=("I", "NUMBERS"),
        help="z_I of every image, comma-separated in [0, 1]; may be given once a level",
    )
    options.add_sheet(sample, model=True)
    sample.set_defaults(handler=_sample)

    vary = commands.add_parser(
        "vary",
        help="vary one z_i with the label and all other noise fixed",
        **options.taught(
            "Each row fixes y and every z but z_i, which is drawn anew in each column: "
            "what level i's noise decides. Where a row's images are all alike, G_i ignores it.",
            "sgan vary --level 0 --label 3 --out strokes.png",
        ),
    )
    interpolate = commands.add_parser(
        "interpolate",
        help="go straight from one z_i to another, all else fixed",
        **options.taught(
            "Each row fixes y and every z but z_i, which goes in equal steps from one draw "
            "to another. Steps that blend two images show memory rather than a learnt space.",
            "sgan interpolate --level 1 --columns 16 --out poses.png",
        ),
    )
    for command, handler in ((vary, _vary), (interpolate, _interpolate)):
        command.add_argument("--level", type=int, required=True, help="i of z_i; 0 is the image's")
        command.add_argument("--label", help="class, number or name; default: a row of each")
        command.add_argument("--rows", type=int, default=4, help="rows with --label (default: 4)")
        command.add_argument("--columns", type=int, default=12, help="images a row (default: 12)")
        options.add_sheet(command)
        command.set_defaults(handler=handler)


def _sample(arguments: argparse.Namespace) -> None:
    options.at_least("n", arguments.n, 1)
    options.ends_in("out", arguments.out, ".png")
    import torch

    from pipeline.scores.studies import Sheet
    from pipeline.serving.sources import stack_of
    from sgan.drawing import Drawer, seeds_from

    model = stack_of(arguments.model, arguments.weights)
    drawer = Drawer(model.stack)
    y, columns = torch.arange(arguments.n) % len(model.classes), len(model.classes)
    if arguments.label is not None:
        label = options.label_of(arguments.label, model.classes)
        y, columns = torch.full((arguments.n,), label), round(arguments.n**0.5)
    if arguments.columns is not None:
        columns = options.at_least("columns", arguments.columns, 1)
    seed = options.seed_of(arguments)
    z = drawer.noise(seeds_from(seed, arguments.n))
    for level, vector in options.noise_of(arguments.z, drawer.z_dims).items():
        z[level] = torch.tensor([vector], dtype=torch.float64).expand(arguments.n, -1)
    images = drawer.images(y, z).numpy()
    options.write_sheet(arguments, Sheet(images, columns), seed, f"{len(images)} images")


def _vary(arguments: argparse.Namespace) -> None:
    from pipeline.scores import studies

    _rows(arguments, studies.vary, "varied")


def _interpolate(arguments: argparse.Namespace) -> None:
    from pipeline.scores import studies

    options.at_least("columns", arguments.columns, 2)
    _rows(arguments, studies.interpolate, "interpolated")


def _rows(arguments: argparse.Namespace, study: Any, verb: str) -> None:
    from pipeline.scores.trained import trained

    options.ends_in("out", arguments.out, ".png")
    options.at_least("columns", arguments.columns, 1)
    options.at_least("rows", arguments.rows, 1)
    model = trained(arguments.weights)
    level = options.level_of(arguments.level, model.stack)
    labels = None
    if arguments.label is not None:
        labels = (options.label_of(arguments.label, model.classes),) * arguments.rows
    seed = options.seed_of(arguments)
    sheet: Sheet = study(model.stack, model.classes, level, arguments.columns, seed, labels)
    rows = len(sheet.images) // sheet.columns
    options.write_sheet(arguments, sheet, seed, f"{rows} rows with only z_{level} {verb}")
