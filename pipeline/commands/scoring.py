"""`sgan evaluate`: the DVC stage, or with `--images` anybody's samples by the same protocol."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import options, paths
from pipeline.errors import UserError
from pipeline.params.named_sets import NAMED

if TYPE_CHECKING:
    import numpy as np

    from pipeline.params.loading import Params
    from pipeline.scores.inputs import RealImages
    from pipeline.scores.score import Score

_DATA = (*NAMED, "custom")
_JUDGES = ("cnn", "resnet56", "vgg16_bn")
_COSTLY = ("lpips", "cas", "inception")


def add(commands: Any) -> None:
    """Add the subcommand."""
    command = commands.add_parser(
        "evaluate",
        help="sample, score, draw the grids, log the model",
        **options.taught(
            "Without options, the DVC stage: sample the stack, score it, draw the grids, log the "
            "model (`sgan report` draws the page of it). With --images, score images of any "
            "origin (another program's samples, or what `sgan generate` wrote) by the same "
            "protocol: an independent judge trained on the real training split, each score "
            "beside that of real test images. A folder per class, WebDataset shards and an .npz "
            "with labels in arr_1 give every score; a flat folder and arr_0 alone those that "
            "need no labels.",
            "sgan evaluate --images their-samples/ --data cifar10 --report theirs.html",
        ),
    )
    command.add_argument(
        "--images", type=Path, metavar="PATH", help="folder, .npz or shards to score"
    )
    command.add_argument("--data", choices=_DATA, help="real images to score them against")
    command.add_argument(
        "--source", help="path or address of the real images (default: this project's, or the net)"
    )
    command.add_argument(
        "--resize", action="store_true", help="crop and resize images of another size"
    )
    command.add_argument(
        "--judge", choices=_JUDGES, help="default: as in params.yaml, else cnn, trained here"
    )
    command.add_argument(
        "--judge-epochs", type=float, help="training of the judge (default: as in params.yaml)"
    )
    command.add_argument("--lpips", action="store_true", help="LPIPS among the diversities")
    command.add_argument(
        "--cas", action="store_true", help="train a classifier on the images; needs labels"
    )
    command.add_argument(
        "--inception", action="store_true", help="FID and more on the Inception trunk; slow"
    )
    command.add_argument("--seed", type=int, help="of what is drawn (default: 0)")
    command.add_argument("--out", type=Path, metavar="FILE.json", help="scores to write")
    command.add_argument("--report", type=Path, metavar="FILE.html", help="page to write")
    command.set_defaults(handler=_main)


def _main(arguments: argparse.Namespace) -> None:
    if arguments.images is None:
        valued = ("data", "source", "judge", "judge_epochs", "seed", "out", "report")
        given = [n for n in valued if getattr(arguments, n) is not None]
        given += [n for n in ("resize", *_COSTLY) if getattr(arguments, n)]
        if given:
            raise UserError(f"--{given[0].replace('_', '-')} goes with --images PATH")
        from pipeline.stages import evaluate

        evaluate.main()
        return
    _score_folder(arguments)


def _score_folder(arguments: argparse.Namespace) -> None:
    from pipeline.storage.atomic import write_json

    if arguments.data is None:
        raise UserError(f"--images needs --data, one of {', '.join(_DATA)}")
    for name, suffix in (("out", ".json"), ("report", ".html")):
        if getattr(arguments, name) is not None:
            options.ends_in(name, getattr(arguments, name), suffix)
    arguments.seed = arguments.seed or 0  # and not a new one each time: scores are compared
    options.seed_of(arguments)
    if arguments.judge_epochs is not None and not 0 < arguments.judge_epochs < float("inf"):
        raise UserError(f"--judge-epochs {arguments.judge_epochs}: must be above 0, and finite")
    if arguments.judge not in (None, "cnn") and arguments.data != "cifar10":
        raise UserError(f"--judge {arguments.judge} reads CIFAR-10 only; use cnn")
    path = arguments.images
    if not path.is_dir() and not (path.is_file() and path.suffix.lower() in (".npz", ".tar")):
        raise UserError(f"--images {path}: no such folder, .npz or .tar")
    from pipeline.data.sample_sets import sample_set

    params = _params(arguments)
    real = _real(arguments, params)
    images, labels = sample_set(
        arguments.images, real, arguments.resize, lambda how: print(f"evaluate: {how}", flush=True)
    )
    if arguments.cas and labels is None:
        raise UserError(f"--cas needs labels, and {arguments.images} has none")
    count = f"{len(images):,} images" + ("" if labels is not None else " without labels")
    print(f"evaluate: {count} against {arguments.data}", flush=True)
    scores = _scores(arguments, params, real, images, labels)
    if arguments.out:
        write_json(arguments.out, [score.as_dict() for score in scores])
    print_scores(scores, f"{arguments.images} against {arguments.data}")
    if arguments.out:
        print(f"wrote {arguments.out}")
    if arguments.report:
        _report(arguments, real, images, labels, scores)
        print(f"wrote {arguments.report}")


def _params(arguments: argparse.Namespace) -> "Params | None":
    """The project's parameters, where this is a project of the same data."""
    from pipeline.params.loading import load

    root = paths.project_root()
    params = load(root=root) if (root / paths.PARAMS).is_file() else None
    return params if params and params.data.name == arguments.data else None


def _real(arguments: argparse.Namespace, params: "Params | None") -> "RealImages":
    """The prepared data where it is the set asked for, else the set from its source."""
    import numpy as np

    from pipeline.data import sources
    from pipeline.data.dataset import data_digest
    from pipeline.data.manifest import FILE, Manifest
    from pipeline.params.settings import DataConfig
    from pipeline.scores.inputs import RealImages
    from pipeline.scores.prepared import real_images
    from sgan.config import ConfigError

    folder = paths.project_root() / paths.DATA
    if arguments.source is None and (folder / FILE).is_file():
        manifest = Manifest.load(folder)
        if manifest.name == arguments.data:
            return real_images(folder)
    given = {} if arguments.source is None else {"source": arguments.source}
    try:
        base = params.data if params is not None else None
        settings = replace(base, **given) if base else DataConfig(name=arguments.data, **given)
    except ConfigError as error:
        raise UserError(f"--data {arguments.data} needs --source here: {error}") from error
    found, _ = sources.load(settings)
    return RealImages(
        np.asarray(found.train_images),
        found.train_labels,
        np.asarray(found.test_images),
        found.test_labels,
        found.classes,
        data_digest(found),
    )


def _scores(
    arguments: argparse.Namespace,
    params: "Params | None",
    real: "RealImages",
    images: "np.ndarray",
    labels: "np.ndarray | None",
) -> "list[Score]":
    from pipeline.params.settings import EvaluateConfig, RuntimeConfig
    from pipeline.parts.device import device_of, precision_here
    from pipeline.parts.progress import console_for
    from pipeline.scores.evaluation import sample_scores
    from pipeline.scores.inputs import Samples
    from pipeline.scores.means import means
    from pipeline.scores.shown import Shown
    from pipeline.storage.store import Storage
    from pipeline.threads import on_threads
    from pipeline.tracking.redaction import redact_tree

    settings = params.evaluate if params else EvaluateConfig()
    chosen: dict[str, Any] = {n: getattr(arguments, n) for n in ("judge", "judge_epochs")}
    chosen |= {name: True for name in _COSTLY if getattr(arguments, name)}
    settings = replace(settings, **{k: v for k, v in chosen.items() if v is not None})
    runtime = params.runtime if params else RuntimeConfig()
    device = str(device_of(runtime.device))
    kept = paths.in_project(paths.STORAGE)
    samples = [Samples(images, labels, arguments.seed)]
    with Shown(console_for(runtime.progress)) as told, on_threads(runtime.threads_of("judge")):
        precision = precision_here(runtime.device)  # as the stage's: else it is another judge
        threads = runtime.threads_of("reference")
        lent = means(Storage(kept), told, device, precision, threads=threads)
        found = sample_scores(samples, real, settings, lent)
    facts = {"source": str(arguments.images), "batch_norm": "unknown", "ema": "unknown"}
    return [score.with_protocol(**redact_tree(score.protocol) | facts) for score in found]


def print_scores(scores: "list[Score]", title: str) -> None:
    """A table: each score with its spread beside that of real images."""
    from rich.table import Table

    from pipeline.report.values import GOALS
    from pipeline.scores.score import short

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

    from pipeline.report.contents import Figure, ReportData
    from pipeline.report.grids import grid
    from pipeline.report.pages import write_report
    from pipeline.scores.headline import headline_keys
    from pipeline.scores.studies import nearest_training

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
    data = ReportData(
        title=f"{arguments.images.name} against {arguments.data}",
        revision="images of unknown origin",
        scores=scores,
        headline=headline_keys(scores),
        figures=figures,
        facts={"images": f"{len(images):,}", "data digest": real.digest[:16]},
    )
    write_report(arguments.report, data)
