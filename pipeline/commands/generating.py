"""`sgan generate`: many single samples, in files that other people's tools read."""

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import options, paths

if TYPE_CHECKING:
    from pipeline.params.settings import RuntimeConfig

# Kept in step with pipeline.export.forms.FORMS, whose imports `--help` does without.
FORMS = ("folder", "npz", "webdataset")


def add(commands: Any) -> None:
    """Add the subcommand."""
    command = commands.add_parser(
        "generate",
        help="write many samples, a file each, for other tools",
        **options.taught(
            "Write samples of all classes, each as often as the project's training data has it "
            "(without that data: all as often): into a folder per class (PNG), as arr_0 of an "
            "npz (RGB; what ADM's evaluator reads; labels are arr_1), or as WebDataset shards. "
            "Image k depends on the weights, the seed, those frequencies and k alone. What was "
            "interrupted goes on with the same command; RAY_ADDRESS draws on that cluster.",
            "sgan generate --n 50000 --out samples.npz",
        ),
    )
    command.add_argument("--n", type=int, default=50_000, help="images (default: 50000)")
    command.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="PATH",
        help="FILE.npz, a folder whose name ends in `shards`, or another folder for one per class",
    )
    command.add_argument("--format", choices=FORMS, help="default: by the name of --out")
    command.add_argument("--seed", type=int, default=0, help="of the samples (default: 0)")
    options.add_weights(command)
    command.set_defaults(handler=_generate)


def _generate(arguments: argparse.Namespace) -> None:
    options.at_least("n", arguments.n, 1)
    options.seed_of(arguments)
    from pipeline.export.forms import FORMS, Recipe, form_by_name
    from pipeline.export.generation import Generation
    from pipeline.parts.progress import console_for
    from pipeline.parts.supplying import file_sha256
    from pipeline.scores.shown import Shown
    from pipeline.scores.trained import trained
    from pipeline.storage.store import Storage

    form = arguments.format or form_by_name(arguments.out)
    if form == "npz":
        options.ends_in("out", arguments.out, ".npz")
    began, runtime, model = time.monotonic(), _runtime(), trained(arguments.weights)
    recipe = Recipe(
        file_sha256(arguments.weights),
        arguments.seed,
        arguments.n,
        model.classes,
        model.frequencies,
        model.image_shape,
        form,
    )
    with Shown(console_for(runtime.progress)) as told:
        out, weights = Path(os.path.realpath(arguments.out)), arguments.weights.absolute()
        generation = Generation(out, recipe, weights, runtime, Storage(runtime.storage_uri()), told)

        def goes_on(done: int) -> None:
            print(f"generate: goes on after {done:,} of {arguments.n:,} images", flush=True)

        try:
            made = generation.run(goes_on)
        except KeyboardInterrupt:
            print(f"generate: stopped after {generation.done():,} images; the same command goes on")
            raise
    what = f"{arguments.n:,} images ({FORMS[form].told}, seed {arguments.seed})"
    if not made:
        print(f"{arguments.out} holds these {what} already")
        return
    print(f"wrote {what} to {arguments.out} in {time.monotonic() - began:.1f} s")


def _runtime() -> "RuntimeConfig":
    """The project's, where this is one."""
    from pipeline.params.loading import load
    from pipeline.params.settings import RuntimeConfig

    root = paths.project_root()
    return load(root=root).runtime if (root / paths.PARAMS).is_file() else RuntimeConfig()
