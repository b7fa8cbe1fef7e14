"""`sgan import-lasagne`: the authors' published weights as ours."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import options, paths
from pipeline.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from pipeline.data.manifest import Manifest

_ARCHITECTURES = ("cifar10", "mnist")
_IMAGE = (3, 32, 32)
_MEAN = "meanimg.npy"


def add(commands: Any) -> None:
    """Add the subcommand."""
    command = commands.add_parser(
        "import-lasagne",
        help="read weights that the authors published (.npz)",
        **options.taught(
            "Read parameter lists as the authors' scripts save them (arr_0, arr_1, … in layer "
            "order) into our modules and write them as safetensors: encoder.npz alone as E; with "
            "generator.npz, or the lists of G_1 and G_0, as a stack for `sgan sample --weights`; "
            "lists of generators or discriminators without E as levels. Which net a file holds is "
            "told by its shapes. What does not fit is refused, with names and shapes.",
            "sgan import-lasagne pretrained/encoder.npz pretrained/generator.npz "
            "--architecture cifar10 --out authors.safetensors",
        ),
    )
    command.add_argument(
        "files", type=Path, nargs="+", metavar="FILE.npz", help="the authors' parameter lists"
    )
    command.add_argument(
        "--architecture", choices=_ARCHITECTURES, required=True, help="whose nets these are"
    )
    command.add_argument(
        "--mean-image",
        type=Path,
        metavar="FILE.npy",
        help="cifar10: float [3, 32, 32] in [0, 1] that they subtracted from the images (default: "
        f"{_MEAN} beside the files or in ../data, as in their repository, else this project's)",
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="safetensors file to write (default: the first FILE with that suffix)",
    )
    command.set_defaults(handler=_import)


def _import(arguments: argparse.Namespace) -> None:
    from sgan.authors import convert
    from sgan.config import ConfigError
    from sgan.lasagne import LasagneError

    files, name = arguments.files, arguments.architecture
    out = arguments.out or files[0].with_suffix(".safetensors")
    options.ends_in("out", out, ".safetensors")
    if name != "cifar10" and arguments.mean_image:
        raise UserError(f"--mean-image: {name}'s images are not centred; leave it out")
    try:
        mean, origin = _mean_image(arguments.mean_image, files) if name == "cifar10" else (None, "")
        written = convert(files, out, name, mean)
    except (LasagneError, ConfigError) as error:
        raise UserError(str(error)) from error
    print(f"wrote the authors' {name} {written.kind} ({', '.join(written.held)}) to {out}")
    if written.fresh:
        print(f"in no file, and therefore untrained: {', '.join(written.fresh)}")
    if name == "cifar10" and {"E", "G_0"} & set(written.held):
        _tell_mean(origin)
    if written.kind == "encoder":
        _tell_accuracy(out, name)


def _mean_image(given: Path | None, files: Sequence[Path]) -> tuple["np.ndarray | None", str]:
    """The mean of CIFAR-10's training images, and where it is from ('' where there is none)."""
    from sgan.lasagne import read_mean_image

    near = [folder / _MEAN for file in files for folder in (file.parent, file.parent / "../data")]
    path = given or next((path for path in near if path.is_file()), None)
    if path:
        return read_mean_image(path, _IMAGE), str(path)
    manifest = _prepared("cifar10")
    return (manifest.mean_image(), str(paths.DATA)) if manifest else (None, "")


def _tell_mean(origin: str) -> None:
    if origin:
        print(f"mean image: {origin}")
        return
    print(
        f"warning: no mean image ({_MEAN} of the authors' repository), so zeros are stored: E "
        "sees and G_0 draws images unlike the authors'. Repeat with --mean-image FILE.npy, or "
        "where cifar10 is prepared.",
        file=sys.stderr,
    )


def _prepared(name: str) -> "Manifest | None":
    """The project's prepared data, if it is this set."""
    from pipeline.data.manifest import FILE, Manifest

    folder = paths.project_root() / paths.DATA
    manifest = Manifest.load(folder) if (folder / FILE).is_file() else None
    return manifest if manifest and manifest.name == name else None


def _tell_accuracy(weights: Path, name: str) -> None:
    if not _prepared(name):
        print(f"(its test accuracy is told in a project whose prepared data is {name})")
        return
    import torch

    from pipeline.data import shards
    from sgan.training.classifier import accuracy
    from sgan.weights import load_encoder

    images, labels = shards.read_split(paths.project_root() / paths.DATA, "test")
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    score = accuracy(load_encoder(weights), pixels, torch.from_numpy(labels))
    print(f"test accuracy on {name}: {score:.2%}")
