"""`sgan compare`: executions side by side, what was changed and what came of it."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pipeline import options, paths
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.report.contents import ReportData
    from pipeline.scores.score import Score

_LEGEND = (
    "Differences are from {first}. ≈ within the spread (twice the joint sd over seeds), "
    "? no spread known (evaluate.seeds has one)."
)


def add(commands: Any) -> None:
    """Add the subcommand."""
    command = commands.add_parser(
        "compare",
        help="parameters and scores of executions side by side",
        **options.taught(
            "Print the parameters in which executions differ, and every score with its spread, "
            "its difference from the first one, and whether that exceeds the spread (twice the "
            "joint standard deviation over seeds: give evaluate.seeds several). An execution is "
            "named by its name, its DVC experiment, the id of its MLflow run, the beginning of "
            "one of these, or the path of a scores.json.",
            "sgan compare full-s1 no-entropy-s1 --out compared.html",
        ),
    )
    command.add_argument("runs", nargs="+", metavar="EXECUTION", help="two or more")
    command.add_argument("--out", type=Path, metavar="FILE.html", help="page to write as well")
    command.set_defaults(handler=_main)


def _main(arguments: argparse.Namespace) -> None:
    from pipeline.experiments.executions import load_runs
    from pipeline.report.differences import changed_params

    if len(arguments.runs) < 2:
        raise UserError("compare: name two runs or more")
    if arguments.out is not None:
        options.ends_in("out", arguments.out, ".html")
    with TemporaryDirectory(prefix="sgan-") as folder:
        runs = load_runs(
            arguments.runs, paths.project_root(), Path(folder), curves=arguments.out is not None
        )
        console = options.console()
        _print_params(console, runs, changed_params(runs))
        _print_scores(console, runs)
        if arguments.out is not None:
            from pipeline.report.pages import write_comparison

            write_comparison(arguments.out, runs)
            console.print(f"wrote {arguments.out}", soft_wrap=True)


def _print_params(console: Any, runs: "list[ReportData]", changed: Any) -> None:
    from rich.table import Table

    unknown = [run.title for run in runs if not run.params]
    if unknown:
        console.print(f"(no parameters are known of {', '.join(unknown)})")
    if not changed:
        if len(runs) - len(unknown) > 1:
            console.print("Parameters: the same.")
        return
    table = Table(
        "parameter", *(run.title for run in runs), title="What was changed", title_justify="left"
    )
    for key, values in changed:
        table.add_row(key, *values)
    console.print(table)


def _print_scores(console: Any, runs: "list[ReportData]") -> None:
    from rich.table import Table

    table = Table(title="Scores", title_justify="left")
    table.add_column("score", no_wrap=True)
    table.add_column("real")
    for run in runs:
        table.add_column(run.title, justify="right")
    for cells in score_rows(runs):
        table.add_row(*cells)
    console.print(table)
    console.print(_LEGEND.format(first=runs[0].title))


def score_rows(runs: "list[ReportData]") -> list[list[str]]:
    """Text cells: the score's key, real images' value, then each run's with its difference."""
    from pipeline.scores.score import short

    named = {score.key: score for run in runs for score in run.scores}
    rows = []
    for key, score in named.items():
        found = [next((s for s in run.scores if s.key == key), None) for run in runs]
        shown = [_cell(one, found[0] if index else None) for index, one in enumerate(found)]
        rows.append([key, short(score.real), *shown])
    return rows


def _cell(score: "Score | None", first: "Score | None") -> str:
    from pipeline.scores.score import INCOMPARABLE, short, verdict

    if score is None or score.value is None:
        return "-" if score is None else "not measured"
    text = short(score.value) + (f" ± {short(score.sd)}" if score.sd is not None else "")
    if first is None or first.value is None:
        return text
    said = verdict(first, score)
    if said in INCOMPARABLE:
        return f"{text}  {said}"
    return f"{text}  {score.value - first.value:+.3g} {said}"
