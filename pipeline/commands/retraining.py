"""`sgan retrain`: what a workflow of continuous integration calls, and what runs here as well."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import options, paths

if TYPE_CHECKING:
    from pipeline.execution.retraining.plan import Step


def add(commands: Any) -> None:
    """Add the subcommand."""
    command = commands.add_parser(
        "retrain",
        help="train what is stale, keep it, and put it before people with the gate's verdict",
        **options.taught(
            "Fetch outputs and run-cache from DVC's default remote, run the pipeline (as a job of "
            "the cluster that --address or RAY_API_SERVER_ADDRESS names, else here), push, and "
            "commit dvc.lock, metrics and plots to a branch of their own with the pull request's "
            "text: the gate's verdict, samples, what ran and what it cost, metrics and parameters "
            "that differ. GH_TOKEN or GITHUB_TOKEN opens the pull request. Once killed, the same "
            "command goes on. Exit status: 0, or that of what failed; the verdict is in the text.",
            "sgan retrain --dry-run",
        ),
    )
    command.add_argument("--dry-run", action="store_true", help="what is stale, and its cost")
    command.add_argument(
        "--new-data",
        action="store_true",
        help="look at data.source again, which DVC does not watch: `prepare` runs in any case",
    )
    command.add_argument("--branch", default="", help="default: retrain/<the one checked out>")
    command.add_argument("--base", default="", help="the pull request's base (default: likewise)")
    command.add_argument("--address", default="", metavar="URL", help="job server of a cluster")
    command.add_argument("--storage", metavar="WHERE", help="s3://… (default: SGAN_STORAGE)")
    command.add_argument(
        "--data", choices=("travels", "there"), default="", help="as with `sgan submit`"
    )
    command.add_argument("--python", default="python", help="the head's Python (default: python)")
    command.add_argument(
        "--no-wait", action="store_true", help="end where the branch is being retrained already"
    )
    command.add_argument(
        "--markdown", type=Path, metavar="FILE.md", help="text (default: artifacts/retrain.md)"
    )
    command.set_defaults(handler=_main)


def _main(arguments: argparse.Namespace) -> int:
    if arguments.markdown is not None:
        options.ends_in("markdown", arguments.markdown, ".md")
    root = paths.project_root()
    if arguments.dry_run:
        return _dry_run(root, arguments)
    from pipeline.execution.retraining.course import MARKDOWN, Wanted, retrain

    wanted = Wanted(
        branch=arguments.branch,
        base=arguments.base,
        new_data=arguments.new_data,
        address=arguments.address,
        storage=arguments.storage,
        data=arguments.data,
        python=arguments.python,
        wait=not arguments.no_wait,
        markdown=arguments.markdown or MARKDOWN,
    )
    return retrain(root, wanted)


def _dry_run(root: Path, arguments: argparse.Namespace) -> int:
    from pipeline.execution.retraining.plan import plan
    from pipeline.execution.retraining.text import plan_text
    from pipeline.params.loading import load
    from pipeline.storage.atomic import write_bytes

    steps = plan(root, load(root / paths.PARAMS, root), new_data=arguments.new_data)
    _show(steps)
    if arguments.markdown is not None:
        write_bytes(arguments.markdown, plan_text(steps).encode())
        print(f"wrote {arguments.markdown}")
    return 0


def _show(steps: "Sequence[Step]") -> None:
    from rich.table import Table

    from pipeline.execution.retraining.text import minutes_text, plan_sum, seconds_text

    console = options.console()
    if not steps:
        console.print("Nothing is stale.")
        return
    table = Table("stale", "why", "last time", "core-minutes")
    for step in steps:
        cells = (seconds_text(step.seconds), minutes_text(step.core_minutes))
        table.add_row(step.name, step.why, *cells)
    console.print(table)
    console.print(plan_sum(steps), soft_wrap=True)
