"""`sgan deps`: the code that dvc.yaml's stages depend on, written from the code itself."""

import argparse
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.errors import UserError
from pipeline.stages import DECIDED_BY


def add(commands: Any) -> None:
    """Add the subcommand."""
    command = commands.add_parser(
        "deps",
        help="write the code that each stage depends on into dvc.yaml",
        description="Follow the imports of what decides each stage's results, and write the files "
        "into dvc.yaml's deps. Run it after a change of imports; `make lint` checks it.",
    )
    command.add_argument("--check", action="store_true", help="only say what is out of date")
    command.set_defaults(handler=_main)


def _main(arguments: argparse.Namespace) -> None:
    from pipeline.execution import deps

    path: Path = paths.project_root() / "dvc.yaml"
    found = deps.stale(path, DECIDED_BY)
    for stage, files in found.items():
        print(f"{stage}: {', '.join(files)}")
    if not found:
        print("dvc.yaml: every stage depends on the code that it uses")
    elif arguments.check:
        raise UserError("dvc.yaml is out of date with the code; run `sgan deps`")
    else:
        deps.write(path, DECIDED_BY)
        print("wrote dvc.yaml")
