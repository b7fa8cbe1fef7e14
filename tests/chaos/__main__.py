"""`python -m tests.chaos --seed 1 --kills 40`: exit status 0 where everything held."""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos import checks
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.hammer import Hammer, say
from tests.chaos.record import Record
from tests.chaos.world import Round, World, isolated
from tests.cluster_rig import why_not
from tests.project import ROOT, Project

# Trainings that are long enough to be hit, and everything else as short as it goes.
PRESET = (
    "data=mnist_small",
    "budget=smoke",
    "encoder.total_images=10000",
    "levels.0.total_images=4000",
    "levels.1.total_images=80000",
    "joint.total_images=1500",
    "evaluate.num_samples=200",
    "evaluate.judge_epochs=1.0",
    "evaluate.cas_epochs=0.5",
    "runtime.checkpoint_seconds=1.0",
    "runtime.progress=plain",
)


def main() -> int:
    """The program."""
    options = _options()
    if reason := why_not():
        print(f"error: {reason}", file=sys.stderr)
        return 2
    isolated()
    _environment()
    folder = Path(tempfile.mkdtemp(prefix="chaos-", dir="/tmp"))
    folder.chmod(0o711)  # PostgreSQL runs under an account of its own
    record = Record(options.seed, file=options.report)
    database = options.base / "mlflow.db" if options.base else None
    world = World(folder, database=database)
    began = time.monotonic()
    try:
        world.start()
        say(f"three nodes, S3 and MLflow are up; all is below {folder}")
        _rounds(world, record, options, folder)
    finally:
        world.stop()
    took = time.monotonic() - began
    record.notes.append(f"{took:.0f} s in all, {os.cpu_count()} cores, {time.strftime('%F')}")
    print(record.markdown())
    record.save()
    if not record.wrong and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if record.wrong else 0


def _rounds(world: World, record: Record, options: argparse.Namespace, folder: Path) -> None:
    rng = random.Random(options.seed)
    hammer = Hammer(world, record, rng, options.pause, options.gone)
    pristine = options.base or _pristine(folder / "pristine" / "sgan")
    if options.base:
        same = checks.outputs(options.base)
    else:
        quiet = _round(pristine, folder, 0, options.storage[0], world, options.target)
        hammer.quiet(quiet)
        same = checks.outputs(quiet.root)
        record.wrong += _held(world, quiet, same)
        quiet.end()
    waiting = _plan(rng, options)
    number = 0
    while waiting and number < 3 * options.kills:
        number += 1
        storage = options.storage[number % len(options.storage)]
        if not any(fault.storage in ("", storage) for fault in waiting):
            continue
        round_ = _round(pristine, folder, number, storage, world, options.target)
        try:
            hammer.round(round_, waiting, options.per_round)
            record.wrong += [f"round {number}: {w}" for w in _held(world, round_, same)]
        finally:
            round_.end()
        say(f"round {number} ({storage}) has run through; {len(waiting)} kills to go")
    if waiting:
        record.wrong.append(f"{len(waiting)} kills found no target: {[f.name for f in waiting]}")


def _plan(rng: random.Random, options: argparse.Namespace) -> list[Fault]:
    """As many faults as asked for: each kind as often as the others, in random order."""
    kinds = [f for f in FAULTS if not options.only or f.name in options.only]
    kinds = [f for f in kinds if f.storage in ("", *options.storage)]
    planned: list[Fault] = []
    while len(planned) < options.kills:
        planned += rng.sample(kinds, len(kinds))
    return planned[: options.kills]


def _held(world: World, round_: Round, quiet: dict[str, str]) -> list[str]:
    """What does not hold after a round."""
    world.mend()
    found = checks.differences(quiet, checks.outputs(round_.root))
    found += checks.storage(round_) + checks.dvc_cache(round_.root)
    return found + checks.mlflow(world, round_) + checks.processes(world, round_)


def _pristine(root: Path) -> Path:
    project = Project.create(root)
    project.sgan("compose", *PRESET)
    project.commit("chaos")
    return root


def _round(
    pristine: Path, folder: Path, number: int, storage: str, world: World, target: str
) -> Round:
    root = folder / f"round{number}" / "sgan"
    shutil.copytree(pristine, root, symlinks=True)
    for trained in (root / ".runs").glob("level*"):
        shutil.rmtree(trained)
    round_ = Round(root, number, storage, world, target)
    round_.own_disks()
    return round_


def _environment() -> None:
    """Nothing of the person's own may reach a server of theirs, and engines are told once."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "DVC_", "MLFLOW_", "RAY_", "SGAN_")):
            del os.environ[name]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    lines = (ROOT / "infra" / "engines.env").read_text().splitlines()
    os.environ.update(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    git = {"NAME": "chaos", "EMAIL": "chaos@localhost"}
    for who in ("AUTHOR", "COMMITTER"):
        os.environ.update({f"GIT_{who}_{what}": value for what, value in git.items()})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    add = parser.add_argument
    add("--seed", type=int, default=1, help="of the moments and their order")
    add("--kills", type=int, default=40, help="how many (default: 40)")
    add("--per-round", type=int, default=8, help="at most so many before a round may end")
    add("--only", nargs="*", default=[], help="these kinds of kill only, by name")
    add("--storage", nargs="*", default=["disk", "s3"], choices=["disk", "s3"], help="by turns")
    add("--gone", type=float, default=10.0, help="seconds in which what stops has to be gone")
    add("--pause", type=float, nargs=2, default=(0.5, 8.0), help="seconds between kills")
    add("--base", type=Path, help="a trained project, whose levels are trained again")
    add("--target", default="", help="what `dvc repro` is asked for (default: every stage)")
    add("--report", type=Path, help="a file for the report, which is printed too")
    add("--keep", action="store_true", help="keep the folders of a go in which everything held")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
