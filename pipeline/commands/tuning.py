"""`sgan tune`: a level's settings searched on Ray Tune."""

import argparse
from typing import TYPE_CHECKING, Any

from pipeline import options, paths
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.execution.stage import Stage
    from pipeline.tuning.outcome import Outcome

_NO_WINNER = 3


def add(commands: Any) -> None:
    """Add the subcommand."""
    command = commands.add_parser(
        "tune",
        help="search a level's settings (Ray Tune, ASHA), each level by itself",
        **options.taught(
            "Try settings of a level from params.yaml's section `tune`, the present ones first: "
            "trials train as `dvc repro` trains the level, side by side as far as the cluster has "
            "room, and are stopped early where their Fréchet distance falls behind. A trial whose "
            "diversity has collapsed cannot win. The best one is printed as a patch of params.yaml "
            "and as overrides for `dvc exp run`; training it later takes it from storage. Exit "
            "status: 0, or 3 where every trial collapsed.",
            "sgan tune 1 --trials 8 --apply",
        ),
    )
    command.add_argument("levels", type=int, nargs="+", metavar="LEVEL", help="0 is the image")
    command.add_argument("--trials", type=int, help="settings tried (default: tune.trials)")
    command.add_argument("--resume", action="store_true", help="go on where it was stopped")
    command.add_argument(
        "--apply", action="store_true", help="write the best trial's settings into params.yaml"
    )
    command.set_defaults(handler=_main)


def _main(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    from pipeline.execution.stage import opened
    from pipeline.execution.tuning import Job

    if arguments.trials is not None:
        options.at_least("trials", arguments.trials, 2)
    if len(set(arguments.levels)) < len(arguments.levels):
        raise UserError(f"tune {' '.join(map(str, arguments.levels))}: give each level once")
    found = []
    with opened("tune") as stage:
        settings = stage.params.tune
        if arguments.trials is not None:
            settings = replace(settings, trials=arguments.trials)
        jobs = [Job(stage, level, settings, _say) for level in arguments.levels]
        begun = {job.level for job in jobs if arguments.resume and job.can_go_on()}
        for job in jobs:
            # A stop while one level is searched leaves those after it to be begun.
            found.append(job.outcome(job.level in begun or (arguments.resume and not begun)))
            _show(found[-1])
            _tell(stage, found[-1])
        if arguments.apply:  # not before: it changes what the other levels' searches begin from
            for outcome in found:
                _apply(stage, outcome)
    return _NO_WINNER if any(outcome.winner is None for outcome in found) else 0


def _say(line: str) -> None:
    print(line, flush=True)


def _show(outcome: "Outcome") -> None:
    from rich.table import Table

    table = Table("trial", "images", "Fréchet distance", "diversity", "", "changes")
    ranked = sorted(
        outcome.tried,
        key=lambda one: (
            one.number != outcome.best,
            (-one.last.images_seen, one.last.objective) if one.last else (0, 0.0),
        ),
    )
    for one in ranked:
        told = " ".join(f"{name}={value}" for name, value in one.setting.changes.items())
        look = one.last
        seen = "-" if look is None else f"{look.images_seen:,}"
        distance = "-" if look is None or look.frechet is None else f"{look.frechet:.4f}"
        diversity = "-" if look is None else f"{look.diversity:.2f}"
        table.add_row(
            str(one.number), seen, distance, diversity, one.fate, told or "params.yaml as it is"
        )
    options.console().print(table)


def _tell(stage: "Stage", outcome: "Outcome") -> None:
    """Tell of the best trial."""
    from pipeline.tuning import outcome as outcomes

    where = f"{paths.TUNE}/level{outcome.level}.svg"
    winner = outcome.winner
    if winner is None:
        print(f"No trial kept its diversity to the end; nothing is changed. Picture: {where}")
        return
    assert winner.last is not None
    print(
        f"Best: trial {winner.number}, Fréchet distance {winner.last.frechet:.4f} (real against "
        f"real: {outcome.floor:.4f}). Picture: {where}"
    )
    if outcome.confirmed:
        best, start = outcome.confirmed
        print(f"On other samples: {best:.4f}; params.yaml as it is: {start:.4f}")
    if not outcome.changes:
        print("params.yaml as it is was best.")
        return
    print(f"\n{outcome.patch()}")
    found = outcomes.overrides(stage.params, outcome.level, outcome.changes, stage.root / "conf")
    print(outcomes.line(found, outcome.level, outcome.changes))


def _apply(stage: "Stage", outcome: "Outcome") -> None:
    from pipeline.tuning import outcome as outcomes

    if outcome.winner is not None and outcome.changes:
        outcomes.apply(stage.root / paths.PARAMS, outcome.level, outcome.changes)
        print(
            f"Wrote level {outcome.level}'s settings into {paths.PARAMS}; `dvc repro` takes the "
            "level from storage."
        )
