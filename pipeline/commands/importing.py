"""`sgan import-lasagne`: the authors' published encoders as our weights."""

import argparse
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.commands import options
from pipeline.errors import UserError

_ARCHITECTURES = ("cifar10", "mnist")


def add(commands: Any) -> None:
    """Add the subcommand."""
    command = commands.add_parser(
        "import-lasagne",
        help="read an encoder that the authors published (.npz)",
        **options.taught(
            "Read the parameter list of the authors' E (arr_0, arr_1, … in layer order) "
            "into our modules and write it as safetensors. What does not fit is refused, with "
            "names and shapes. Where this project has the data, its test accuracy is told.",
            "sgan import-lasagne pretrained/encoder.npz --architecture cifar10 "
            "--mean-image data/meanimg.npy",
        ),
    )
    command.add_argument("file", type=Path, metavar="FILE.npz", help="the authors' parameter list")
    command.add_argument(
        "--architecture", choices=_ARCHITECTURES, required=True, help="whose encoder this is"
    )
    command.add_argument(
        "--mean-image",
        type=Path,
        metavar="FILE.npy",
        help="float [C, H, W] in [0, 1] that they subtracted from the images; cifar10 needs it",
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="safetensors file to write (default: FILE with that suffix)",
    )
    command.set_defaults(run=_import)


def _import(arguments: argparse.Namespace) -> None:
    from sgan.config import ConfigError
    from sgan.lasagne import LasagneError, convert_encoder

    out = arguments.out or arguments.file.with_suffix(".safetensors")
    options.ends_in("out", out, ".safetensors")
    try:
        convert_encoder(arguments.file, out, arguments.architecture, arguments.mean_image)
    except (LasagneError, ConfigError) as error:
        raise UserError(str(error).replace("mean_image", "--mean-image", 1)) from error
    print(f"wrote the authors' {arguments.architecture} encoder to {out}")
    _tell_accuracy(out, arguments.architecture)


def _tell_accuracy(weights: Path, name: str) -> None:
    from pipeline.data.manifest import FILE, Manifest

    folder = paths.project_root() / paths.DATA
    if not (folder / FILE).is_file() or Manifest.load(folder).name != name:
        print(f"(its test accuracy is told in a project whose prepared data is {name})")
        return
    import torch

    from pipeline.data import shards
    from sgan.training.classifier import accuracy
    from sgan.weights import load_encoder

    images, labels = shards.read_split(folder, "test")
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    score = accuracy(load_encoder(weights), pixels, torch.from_numpy(labels))
    print(f"test accuracy on {name}: {score:.2%}")
