"""`sgan ablations`: the paper's comparison, run as a queue of DVC experiments."""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import options, paths
from pipeline.errors import UserError
from pipeline.tracking.revision import why_no_git

if TYPE_CHECKING:
    from pipeline.experiments.ablations import Experiment, Outcome
    from pipeline.scores.score import Score

_DVC = (sys.executable, "-m", "dvc")
_PENDING = ("queued", "running")
_NOISE = ("WARNING: No file hash info found", "Following logs for all queued")


def add(commands: Any) -> None:
    """Add the subcommand."""
    command = commands.add_parser(
        "ablations",
        help="the paper's comparison on a data set: full, less each loss, one GAN alone",
        **options.taught(
            "Queue one DVC experiment per setting and seed, run the queue, and write the "
            "table beside the paper's. Experiments that are done, with these parameters and this "
            "code, are not run again: call it again to go on. What they share (the encoder, the "
            "judge) is trained once. `dvc exp show` and `sgan compare` know each by its name.",
            "sgan ablations --data mnist --seeds 1 2 3 --only full no_entropy",
        ),
    )
    command.add_argument("--data", default="mnist", help="choice of conf/data (default: mnist)")
    command.add_argument(
        "--budget", default="ablation", help="choice of conf/budget (default: ablation)"
    )
    command.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="default: 1 2 3")
    command.add_argument(
        "--only", nargs="+", default=[], metavar="SETTING", help="choices of conf/ablation"
    )
    command.add_argument("--jobs", type=int, default=1, help="experiments at a time (default: 1)")
    command.add_argument(
        "--collect", action="store_true", help="run nothing; write the table of what is done"
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="FILE.md",
        help="table to write, with FILE.json beside it (default: docs/ablations-DATA.md)",
    )
    command.set_defaults(handler=_main)


def _main(arguments: argparse.Namespace) -> None:
    from pipeline.experiments.ablations import planned

    root = paths.project_root()
    out = options.ends_in("out", arguments.out or _default_out(arguments.data), ".md")
    options.at_least("jobs", arguments.jobs, 1)
    if len(set(arguments.seeds)) < len(arguments.seeds):
        raise UserError(f"--seeds {' '.join(map(str, arguments.seeds))}: give each once")
    experiments = planned(root, arguments.data, arguments.budget, arguments.seeds, arguments.only)
    found = _known(root)
    waiting = _not_done(experiments, found)
    print(f"ablations: {len(experiments) - len(waiting)} done, {len(waiting)} not yet")
    if waiting and not arguments.collect:
        _queue(root, [e for e in waiting if _state(found, e) not in _PENDING])
        _run_queue(root, arguments.jobs, [e.name for e in waiting])
        found = _known(root)
    _write(out, experiments, found, arguments)
    failed = [e.name for e in _not_done(experiments, found)]
    if failed and not arguments.collect:
        raise UserError(
            f"{len(failed)} of {len(experiments)} experiments did not finish: "
            f"{', '.join(failed)}; `dvc queue logs {failed[0]}` says why, and the same command "
            "goes on with them"
        )


def _default_out(data: str) -> Path:
    return Path("docs") / f"ablations-{data}.md"


def _state(found: "Mapping[str, Outcome]", experiment: "Experiment") -> str:
    return found[experiment.name].state if experiment.name in found else "unknown"


def _not_done(
    experiments: "Sequence[Experiment]", found: "Mapping[str, Outcome]"
) -> "list[Experiment]":
    return [e for e in experiments if _state(found, e) != "done"]


def _known(root: Path) -> "dict[str, Outcome]":
    """What DVC has of every experiment, at whatever commit."""
    from pipeline.experiments.ablations import outcomes

    answer = _dvc(root, "exp", "show", "--all-commits", "--json")
    try:
        return outcomes(json.loads(answer))
    except json.JSONDecodeError as error:
        raise UserError(f"`dvc exp show --json` answered no JSON ({error})") from error


def _queue(root: Path, experiments: "Sequence[Experiment]") -> None:
    for experiment in experiments:
        settings = [part for text in experiment.overrides for part in ("-S", text)]
        _dvc(root, "exp", "run", "--queue", "--name", experiment.name, *settings)
        print(f"ablations: queued {experiment.name}", flush=True)


def _run_queue(root: Path, jobs: int, names: Sequence[str]) -> None:
    """Run whatever is queued and show what it prints, each experiment with its place."""
    _drop_old_orders(root)
    command = [*_DVC, "exp", "run", "--run-all", "--jobs", str(jobs)]
    started: list[str] = []
    with subprocess.Popen(
        command, cwd=root, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as running:
        assert running.stdout is not None
        try:
            for raw in running.stdout:
                line = raw.decode(errors="replace").rstrip()
                begun = re.match(r"Reproducing experiment '(.+)'", line)
                if begun and begun[1] not in started:
                    started.append(begun[1])
                    line = f"== {len(started)} of {len(names)}: {begun[1]}"
                if not line.startswith(_NOISE):
                    print(line, flush=True)
        except KeyboardInterrupt:
            print(
                "\nThe queue goes on by itself. `dvc queue status` shows it, `dvc queue stop "
                "--kill` ends it, and the same command follows it again.",
                file=sys.stderr,
            )
            raise


def _drop_old_orders(root: Path) -> None:
    """Forget what earlier workers were told and did not read: an order to stop would end the next
    worker after its first experiment, and `--run-all` would wait for the others for ever."""
    if "0 active, 0 idle" not in _dvc(root, "queue", "status"):
        return
    for order in (root / ".dvc/tmp/exps/celery/broker/in").glob("*.pidbox.msg"):
        order.unlink(missing_ok=True)


def _dvc(root: Path, *arguments: str) -> str:
    """Standard output of a DVC command. Raises UserError with what it complained of."""
    done = subprocess.run(
        [*_DVC, *arguments], cwd=root, env=_environment(), capture_output=True, text=True
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = " ".join(said or done.stderr.split("\n")[-3:]).strip()
        without = why_no_git(root)  # experiments are commits
        raise UserError(f"`dvc {' '.join(arguments[:2])}` failed: {without or reason}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Workspaces of the queue have no downloads of their own."""
    cache = str(paths.cache_dir())
    return {**os.environ, "SGAN_CACHE": os.environ.get("SGAN_CACHE", cache)}


def _scores(
    experiments: "Sequence[Experiment]", found: "Mapping[str, Outcome]"
) -> "dict[str, list[Score]]":
    """Of those that are done, by name, from DVC's cache, as far as their outputs are there."""
    from dvc.api import read
    from dvc.exceptions import DvcException

    from pipeline.report.record import SCORES, scores_in

    scores = {}
    for experiment in experiments:
        outcome = found.get(experiment.name)
        if outcome is None or not outcome.metrics:
            continue
        try:
            text = read(str(paths.EVALUATE / SCORES), str(paths.project_root()), outcome.revision)
        except (DvcException, OSError):
            continue
        scores[experiment.name] = scores_in(text, f"{SCORES} at {outcome.revision[:7]}")
    return scores


def _write(
    out: Path,
    experiments: "Sequence[Experiment]",
    found: "Mapping[str, Outcome]",
    arguments: argparse.Namespace,
) -> None:
    from rich.table import Table

    from pipeline.experiments import ablations
    from pipeline.storage.atomic import write_bytes

    known = _scores(experiments, found)
    found, scores = ablations.comparable(found, known), next(iter(known.values()), [])
    heads, body = ablations.cells(experiments, found, scores)
    table = Table(*heads, title=f"Ablations on {arguments.data}", title_justify="left")
    for row in body:
        table.add_row(*row)
    options.console().print(table)
    seeds = " ".join(map(str, arguments.seeds))
    command = f"sgan ablations --data {arguments.data} --budget {arguments.budget} --seeds {seeds}"
    if arguments.only:
        command += f" --only {' '.join(arguments.only)}"
    facts = {"command": f"`{command}`", "data": arguments.data, "budget": arguments.budget}
    write_bytes(out, ablations.markdown(experiments, found, facts, scores).encode())
    beside = out.with_suffix(".json")
    write_bytes(beside, ablations.as_json(experiments, found, facts).encode())
    print(f"wrote {out} and {beside}")
