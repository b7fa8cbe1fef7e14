"""`sgan promote`: the challenger takes the champion's place, or the verdict says why not."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import options
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.execution.promotion import Decision


def add(commands: Any) -> None:
    """Add the subcommand, which is a DVC stage where it has no options."""
    command = commands.add_parser(
        "promote",
        help="make the newest stack the champion, if it is better beyond seed noise",
        **options.taught(
            "Compare the registered model's `challenger` (what `dvc repro` evaluated last) with "
            "its `champion`, condition by condition: the same protocol (else they are scored "
            "again), three sampling seeds each, a smaller Fréchet distance by a one-sided test "
            "that knows how much another training seed would change it, and no loss in GAN-test, "
            "recall or diversity. Exit status: 0 promoted, 3 kept, 2 could not be decided. The "
            "old champion becomes `previous`. The settings are params.yaml's section `promote`; "
            "promote.enabled makes it a stage of `dvc repro`.",
            "sgan promote --dry-run --markdown verdict.md",
        ),
    )
    command.add_argument("--version", help="version or alias to promote (default: challenger)")
    command.add_argument("--dry-run", action="store_true", help="only say what would happen")
    command.add_argument("--rollback", action="store_true", help="put the previous champion back")
    command.add_argument("--markdown", type=Path, metavar="FILE.md", help="verdict to write")
    command.set_defaults(handler=_main)


def _main(arguments: argparse.Namespace) -> int:
    import os

    if os.environ.get("DVC_STAGE") == "promote":
        from pipeline.stages import promote

        promote.main()
        return 0
    if arguments.markdown is not None:
        options.ends_in("markdown", arguments.markdown, ".md")
    if arguments.rollback:
        return _roll_back(arguments)
    from pipeline.execution.promotion import decide
    from pipeline.execution.stage import opened
    from pipeline.storage.atomic import write_bytes
    from pipeline.tracking.registry import CHALLENGER

    with opened("promote") as stage:
        decision = decide(stage, arguments.version or CHALLENGER, dry=arguments.dry_run)
    _show(decision, arguments.dry_run)
    if arguments.markdown is not None:
        write_bytes(arguments.markdown, decision.markdown().encode())
        print(f"wrote {arguments.markdown}")
    return decision.status


def _roll_back(arguments: argparse.Namespace) -> int:
    for name in ("version", "markdown"):
        if getattr(arguments, name) is not None:
            raise UserError(f"--{name} does not go with --rollback: it compares nothing")
    from pipeline.execution.promotion import registry_of
    from pipeline.execution.stage import opened

    with opened("promote") as stage:
        now, was = registry_of(stage).rollback(dry=arguments.dry_run)
    told, be = ("would be rolled back", "would be") if arguments.dry_run else ("rolled back", "is")
    print(f"{told}: version {now} {be} champion again, version {was} {be} `previous`")
    return 0


def _show(decision: "Decision", dry: bool) -> None:
    from rich.table import Table

    table = Table("condition", "champion", "challenger", "needed", "")
    for row in decision.verdict.rows:
        table.add_row(
            row.what, *row.sides, row.needed, {True: "yes", False: "NO", None: "?"}[row.holds]
        )
    console = options.console()
    console.print(table)
    console.print(("would be " if dry else "") + decision.sentence, soft_wrap=True)
