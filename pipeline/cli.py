"""The command line: `sgan …` and `python -m pipeline …`."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from pipeline.errors import UserError, weights_told
from pipeline.tracking.uri import owning_project

_DESCRIPTION = """\
Train a Stacked GAN (Huang et al., CVPR 2017) and look at what it learnt.

`dvc repro` runs the stages in order and only those whose inputs changed; each is also a
subcommand here. Parameters stand in params.yaml; `dvc exp run -S budget=paper` tries others.
"""
_EPILOG = """\
examples:
  dvc repro                                  train whatever is out of date
  sgan sample --label 3 --n 64 --out x.png   sixty-four threes from the trained stack
  sgan vary --level 0 --out strokes.png      what z_0 decides
  sgan summary                               what was made, and what to try next
  sgan compare main my-experiment            two executions side by side
  make ui                                    compare executions in MLflow

environment:
  RAY_ADDRESS          a Ray cluster for every training (default: a local one for `levels`)
  MLFLOW_TRACKING_URI  an MLflow server (default: sqlite:///mlflow.db)
  SGAN_STORAGE         folder or s3:// prefix of checkpoints (default: .runs)
"""
_STAGES = {
    "prepare": "find the data set, check its digest, write WebDataset shards and a manifest",
    "encoder": "pretrain E as a classifier (paper, section 3.1)",
    "features": "encode the training split once into Arrow, a column per h_i",
    "levels": "train every level's GAN side by side on Ray (paper, section 3.2)",
    "joint": "fine-tune all levels together (paper, section 3.3)",
    "evaluate": "",  # a command with options, in `scoring`
    "report": "draw the page of the scores, sheets and curves",
}
_COMMANDS = (
    "comparing",
    "sampling",
    "reading",
    "importing",
    "ablations",
    "project",
    "dependencies",
)


def parser() -> argparse.ArgumentParser:
    """The whole command line's parser."""
    top = argparse.ArgumentParser(
        "sgan",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in _STAGES.items():
        if not text:
            import_module("pipeline.commands.scoring").add(commands)
            continue
        stage = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}. A DVC stage: reads params.yaml and the "
            "outputs of the stages before it, in the folder of the project.",
        )
        stage.set_defaults(handler=_stage(name))
    for module in _COMMANDS:
        import_module(f"pipeline.commands.{module}").add(commands)
    return top


def _stage(name: str) -> Callable[[argparse.Namespace], None]:
    def handler(_: argparse.Namespace) -> None:
        import_module(f"pipeline.stages.{name}").main()

    return handler


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 2 for bad input, 128 + n after signal n."""
    try:
        try:
            return _handled(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # `sgan compare | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _handled(argv: Sequence[str] | None) -> int:
    # Threads that spin while they wait make a busy machine two to three times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = parser().parse_args(argv)
    _stay_in_workspace()
    try:
        with weights_told():
            arguments.handler(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _stay_in_workspace() -> None:
    """Make DVC_ROOT the workspace of `dvc exp run --queue` or `--temp`, below .dvc/tmp/exps.

    DVC names the project that owns it there, whose parameters and outputs are other ones.
    """
    here = Path.cwd()
    if owning_project(here) != here:
        os.environ["DVC_ROOT"] = str(here)
