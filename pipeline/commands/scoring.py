"""`sgan evaluate`: the DVC stage, or with `--images` any folder of images by the same protocol."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import paths
from pipeline.commands import options
from pipeline.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from pipeline.evaluation.indomain import RealImages
    from pipeline.evaluation.scores import Score
    from pipeline.params import Params

_DATA = ("mnist", "fashion_mnist", "cifar10", "svhn", "custom")
_FEWEST = 100
_HEADLINE = ("gan_test", "diversity_pixels", "fid_judge_")
_OF_LABELS = ("gan_test", "fid_within_classes", "diversity_")


def add(commands: Any) -> None:
    """Add the subcommand."""
    command = commands.add_parser(
        "evaluate",
        help="sample, score, draw the grids and the report, log the model",
        **options.taught(
            "Without options, the DVC stage: sample the stack, score it, draw the grids and the "
            "report, log the model. With --images, score any folder of images (another "
            "program's samples) by the same protocol: an independent judge trained on the real "
            "training split, each score beside that of real test images. A folder per class "
            "gives every score; a flat folder those that need no labels.",
            "sgan evaluate --images their-samples/ --data cifar10 --report theirs.html",
        ),
    )
    command.add_argument("--images", type=Path, metavar="FOLDER", help="images to score")
    command.add_argument("--data", choices=_DATA, help="real images to score them against")
    command.add_argument(
        "--source", help="path or address of the real images (default: this project's, or the net)"
    )
    command.add_argument(
        "--resize", action="store_true", help="crop and resize images of another size"
    )
    command.add_argument(
        "--judge-epochs", type=float, help="training of the judge (default: as in params.yaml)"
    )
    command.add_argument("--seed", type=int, default=0, help="of what is drawn (default: 0)")
    command.add_argument("--out", type=Path, metavar="FILE.json", help="scores to write")
    command.add_argument("--report", type=Path, metavar="FILE.html", help="page to write")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    if arguments.images is None:
        given = [
            n
            for n in ("data", "source", "judge_epochs", "out", "report")
            if getattr(arguments, n) is not None
        ]
        if given:
            raise UserError(f"--{given[0].replace('_', '-')} goes with --images FOLDER")
        from pipeline.stages import evaluate

        evaluate.run()
        return
    _score_folder(arguments)


def _score_folder(arguments: argparse.Namespace) -> None:
    from pipeline.training import write_json

    if arguments.data is None:
        raise UserError(f"--images needs --data, one of {', '.join(_DATA)}")
    for name, suffix in (("out", ".json"), ("report", ".html")):
        if getattr(arguments, name) is not None:
            options.ends_in(name, getattr(arguments, name), suffix)
    options.seed_of(arguments)
    if not arguments.images.is_dir():
        raise UserError(f"--images {arguments.images}: no such folder")
    params = _params()
    real = _real(arguments, params)
    images, labels = folder_images(arguments.images, real, arguments.resize)
    count = f"{len(images):,} images" + ("" if labels is not None else " without labels")
    print(f"evaluate: {count} against {arguments.data}", flush=True)
    scores = _scores(arguments, params, real, images, labels)
    print_scores(scores, f"{arguments.images} against {arguments.data}")
    if arguments.out:
        write_json(arguments.out, [score.as_dict() for score in scores])
        print(f"wrote {arguments.out}")
    if arguments.report:
        _report(arguments, real, images, labels, scores)
        print(f"wrote {arguments.report}")


def _params() -> "Params | None":
    """The project's parameters, where this is a project."""
    from pipeline.params import load

    root = paths.project_root()
    return load(root=root) if (root / paths.PARAMS).is_file() else None


def _real(arguments: argparse.Namespace, params: "Params | None") -> "RealImages":
    """The prepared data where it is the set asked for, else the set from its source."""
    from pipeline.data import shards, sources
    from pipeline.data.dataset import data_digest
    from pipeline.data.manifest import FILE, Manifest
    from pipeline.evaluation.indomain import RealImages
    from pipeline.settings import DataConfig
    from sgan.config import ConfigError

    folder = paths.project_root() / paths.DATA
    if arguments.source is None and (folder / FILE).is_file():
        manifest = Manifest.load(folder)
        if manifest.name == arguments.data:
            train, test = shards.read_split(folder, "train"), shards.read_split(folder, "test")
            return RealImages(*train, *test, manifest.classes, manifest.data_digest)
    try:
        settings = DataConfig(name=arguments.data, source=arguments.source)
    except ConfigError as error:
        raise UserError(f"--data {arguments.data} needs --source here: {error}") from error
    if params is not None and params.data.name == arguments.data and arguments.source is None:
        settings = params.data
    found, _ = sources.load(settings)
    return RealImages(
        found.train_images,
        found.train_labels,
        found.test_images,
        found.test_labels,
        found.classes,
        data_digest(found),
    )


def folder_images(
    folder: Path, real: "RealImages", resize: bool = False
) -> "tuple[np.ndarray, np.ndarray | None]":
    """Images uint8 [N, H, W, C] of a folder, and their labels int64 [N] where it has classes.

    A subfolder is a class, by the name that the real data gives it or by its number.
    Raises UserError for unknown classes, images beside subfolders, and too few images.
    """
    import numpy as np

    from pipeline.commands.image_files import image_files, read_images
    from pipeline.data.collections import class_folders

    height, width, channels = real.train_images.shape[1:]
    shape = (channels, height, width)
    inside = class_folders(folder)
    files, labels = [], []
    for entry in inside:
        found = image_files(entry)
        if len(found) < 2:
            raise UserError(f"{entry}: {len(found)} image; a class needs two or more")
        files += found
        labels += [_class_of(entry, real.classes)] * len(found)
    if not inside:
        files = image_files(folder)
    elif any(file.parent == folder for file in image_files(folder)):
        raise UserError(f"{folder}: images beside class folders; put them into one of these")
    fewest = max(_FEWEST, 2 * len(real.classes))
    if len(files) < fewest:
        raise UserError(f"{folder}: {len(files)} images; scores need {fewest} or more")
    images = read_images(files, shape, resize)
    return images, np.asarray(labels, dtype=np.int64) if inside else None


def _class_of(folder: Path, classes: tuple[str, ...]) -> int:
    names = [name.lower() for name in classes]
    if folder.name.lower() in names:
        return names.index(folder.name.lower())
    if folder.name.isdecimal() and int(folder.name) < len(classes):
        return int(folder.name)
    raise UserError(f"{folder}: no class of the data; there are {', '.join(classes)}")


def _scores(
    arguments: argparse.Namespace,
    params: "Params | None",
    real: "RealImages",
    images: "np.ndarray",
    labels: "np.ndarray | None",
) -> "list[Score]":
    import numpy as np

    from pipeline.evaluation.indomain import Samples, in_domain
    from pipeline.evaluation.judge import cached_judge
    from pipeline.progress import TrainingProgress
    from pipeline.settings import EvaluateConfig
    from pipeline.tasks import choose_device
    from pipeline.tracking_uri import owning_project

    settings = params.evaluate if params else EvaluateConfig()
    device = str(choose_device(params.runtime.device if params else "auto"))
    epochs = settings.judge_epochs if arguments.judge_epochs is None else arguments.judge_epochs
    kept = owning_project(paths.project_root()) / paths.STORAGE
    total = int(len(real.train_images) * epochs)
    with TrainingProgress({"judge": total}) as bar:
        judge = cached_judge(
            kept / "judge",
            real.train_images,
            real.train_labels,
            data_digest=real.digest,
            num_classes=len(real.classes),
            epochs=epochs,
            seed=settings.judge_seed,
            device=device,
            progress=lambda seen, _, loss: bar.update("judge", min(seen, total), {"loss": loss}),
        )
    # Without labels any will do: what depends on them is left out below.
    asked = np.arange(len(images)) % len(real.classes) if labels is None else labels
    found = in_domain(
        [Samples(images, asked, arguments.seed)],
        real,
        judge,
        kept / "features",
        neighbours=settings.neighbours,
        memory_images=settings.memory_images,
        told=lambda what, share: print(f"evaluate: {what} ({share:.0%})", flush=True),
        source=str(arguments.images),
    )
    if labels is not None:
        return found.scores
    return [score for score in found.scores if not score.key.startswith(_OF_LABELS)]


def print_scores(scores: "list[Score]", title: str) -> None:
    """A table: each score with its spread beside that of real images."""
    from rich.table import Table

    from pipeline.evaluation.score_html import GOALS
    from pipeline.evaluation.scores import short

    table = Table("score", "value", "real images", "", title=title, title_justify="left")
    for score in scores:
        real = short(score.real)
        if score.real_sd is not None:
            real += f" ± {short(score.real_sd)}"
        table.add_row(score.name, replace(score, real=None).text(), real, GOALS[score.better])
    options.console().print(table)


def _report(
    arguments: argparse.Namespace,
    real: "RealImages",
    images: "np.ndarray",
    labels: "np.ndarray | None",
    scores: "list[Score]",
) -> None:
    import numpy as np

    from pipeline.evaluation.grids import grid
    from pipeline.evaluation.report import Figure, ReportData, write_report
    from pipeline.evaluation.studies import nearest_training

    rng = np.random.default_rng(arguments.seed)
    order = rng.permutation(len(images))
    shown, names = order[:100], ()
    if labels is not None:
        present = np.unique(labels)
        shown = np.concatenate([np.resize(order[labels[order] == k], 10) for k in present])
        names = tuple(real.classes[k] for k in present)
    near = nearest_training(images[order[:12]], real.train_images)
    figures = [
        Figure("Images", grid(images[shown], 10, row_labels=names), "Some of the images scored."),
        Figure(
            "Nearest training images",
            grid(near.images, near.columns, row_labels=near.row_labels),
            "Top row: images scored. Bottom row: the training image nearest to each in pixels.",
            section="Memorisation",
        ),
    ]
    keys = [score.key for score in scores]
    data = ReportData(
        title=f"{arguments.images.name} against {arguments.data}",
        revision="images of unknown origin",
        scores=scores,
        headline=[key for key in keys if key.startswith(_HEADLINE)],
        figures=figures,
        facts={"images": f"{len(images):,}", "data digest": real.digest[:16]},
    )
    write_report(arguments.report, data)
