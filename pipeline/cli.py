"""The command line: `sgan …` and `python -m pipeline …`."""

import argparse
import ast
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from pipeline import unforeseen
from pipeline.errors import UserError, weights_told
from pipeline.interpreter import remedy
from pipeline.paths import owning_project
from pipeline.stages import ORDER
from pipeline.storage.atomic import is_full

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
  sgan compare full-s1 no-entropy-s1         two executions side by side
  sgan tune 1 --trials 8                     better settings for a level
  make ui                                    compare executions in MLflow

environment:
  RAY_ADDRESS          a Ray cluster for every training (default: a local one for `levels`)
  MLFLOW_TRACKING_URI  an MLflow server (default: sqlite:///mlflow.db)
  SGAN_STORAGE         folder or s3:// prefix of checkpoints (default: .runs)
"""
_WITH_OPTIONS = {
    "evaluate": "scoring",
    "promote": "promoting",
}  # a stage -> the module of commands/ that it is in
_COMMANDS = (
    "comparing",
    "sampling",
    "generating",
    "exporting",
    "reading",
    "serving",
    "importing",
    "ablations",
    "tuning",
    "submit",
    "retraining",
    "project",
    "inspecting",
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
    for name in ORDER:
        if name in _WITH_OPTIONS:
            import_module(f"pipeline.commands.{_WITH_OPTIONS[name]}").add(commands)
            continue
        text = _help(name)
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


def _help(stage: str) -> str:
    """What a stage does: the first line of its module, read without the imports that it runs."""
    module = Path(__file__).parent / "stages" / f"{stage}.py"
    told = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return told.splitlines()[0].removeprefix(f"{stage}: ").removesuffix(".")


def _stage(name: str) -> Callable[[argparse.Namespace], None]:
    def handler(_: argparse.Namespace) -> None:
        import_module(f"pipeline.stages.{name}").main()

    return handler


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 2 for bad input, 70 for a fault of this program,
    128 + n after signal n."""
    try:
        try:
            return _handled(argv)
        finally:
            _write_out()
    except BrokenPipeError:  # `sgan compare | head`
        _write_no_more()
        return 0
    except _Unwritten as error:  # `sgan summary > file` on a full disk
        _write_no_more()
        print(f"error: standard output: {error}. Make room, or send it elsewhere", file=sys.stderr)
        return 2


def _handled(argv: Sequence[str] | None) -> int:
    # Threads that spin while they wait make a busy machine two to three times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Ray reads it once, when it is first imported, which may be long before it is started.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    arguments = parser().parse_args(argv)
    _stay_in_workspace()
    try:
        with weights_told():
            return int(arguments.handler(arguments) or 0)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and is_full(error):
            _write_out("\n")  # it was the command's `print`, if there is no room for this either
        if isinstance(error, ModuleNotFoundError) and (told := remedy(error)):
            print(f"error: {told}", file=sys.stderr)
            return 2
        return unforeseen.tell(error, argv if argv is not None else sys.argv[1:])


class _Unwritten(Exception):
    """Standard output takes no more; the text says why."""


def _write_out(more: str = "") -> None:
    """Standard output up to here, and `more`. Raises BrokenPipeError and, for the rest,
    _Unwritten."""
    try:
        print(end=more, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _Unwritten(error.strerror) from None


def _write_no_more() -> None:
    """What cannot be written must not be tried again at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stay_in_workspace() -> None:
    """Make DVC_ROOT the workspace of `dvc exp run --queue` or `--temp`, below .dvc/tmp/exps.

    DVC names the project that owns it there, whose parameters and outputs are other ones.
    """
    here = Path.cwd()
    if owning_project(here) != here:
        os.environ["DVC_ROOT"] = str(here)
