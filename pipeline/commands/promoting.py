"""`sgan promote`: the challenger takes the champion's place, or the verdict says why not."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import options

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
    command.add_argument("--version", default="challenger", help="version or alias to promote")
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
    from pipeline.execution.promotion import decide, registry_of
    from pipeline.execution.stage import opened
    from pipeline.storage.atomic import write_bytes

    with opened("promote") as stage:
        if arguments.rollback:
            now, was = registry_of(stage).rollback()
            print(f"rolled back: version {now} is champion again, version {was} is `previous`")
            return 0
        decision = decide(stage, arguments.version, dry=arguments.dry_run)
    _show(decision, arguments.dry_run)
    if arguments.markdown is not None:
        write_bytes(arguments.markdown, decision.markdown().encode())
        print(f"wrote {arguments.markdown}")
    return decision.status


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
