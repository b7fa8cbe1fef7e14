"""What has to hold when a round has run through, whatever died in it."""

import hashlib
import io
import json
import signal
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from tests.chaos.world import Round, World

# What two goes of one recipe share to the bit. Reports and metrics files tell times as well.
SAME = ("artifacts/data", "artifacts/encoder", "artifacts/features", "artifacts/levels")
SAME += ("artifacts/joint", "artifacts/evaluate/scores.json", "plots")
OURS = ("error: ", "Stopped")  # how a stage begins its last line
_IMAGES = ("*.png",)


def outputs(root: Path) -> dict[str, str]:
    """SHA-256 of every file that has to be the same, by path."""
    found: list[Path] = []
    for name in SAME:
        path = root / name
        found += [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    for pattern in _IMAGES:
        found += (root / "artifacts/evaluate").glob(pattern)
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(found)
    }


def differences(quiet: dict[str, str], now: dict[str, str]) -> list[str]:
    """Outputs that are not those of the quiet round."""
    names = sorted(quiet.keys() | now.keys())
    return [f"{name} differs" for name in names if quiet.get(name) != now.get(name)]


def storage(round_: Round) -> list[str]:
    """A result that does not go with its weights, a checkpoint that cannot be read, two keys of a
    part."""
    import torch

    wrong = []
    keys = set(round_.keys_stored()) - round_.before
    folders = Counter(key.split("/")[0] for key in keys if key.endswith("/result.json"))
    wrong += [f"{part}: {n} finished keys" for part, n in folders.items() if n > 1]
    for key in sorted(keys):
        folder = key.rpartition("/")[0]
        if key.endswith("/result.json"):
            told = json.loads(round_.stored(key))["weights_sha256"]
            weights = round_.stored(f"{folder}/weights-{told[:12]}.safetensors")
            if hashlib.sha256(weights).hexdigest() != told:
                wrong.append(f"{folder}: the weights are not the result's")
        if "/step-" in key and "/.tmp-" not in key:
            digest, _, content = round_.stored(key).partition(b"\n")
            if hashlib.sha256(content).hexdigest().encode() != digest:
                wrong.append(f"{key}: a checkpoint whose digest is another")
            else:
                torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return wrong


def dvc_cache(root: Path) -> list[str]:
    """Entries of DVC's cache whose content is not what their name says."""
    wrong = []
    for path in (root / ".dvc/cache/files/md5").rglob("*"):
        if path.is_file() and path.name.partition(".")[0] != "":
            named = path.parent.name + path.name.removesuffix(".dir")
            if hashlib.md5(path.read_bytes()).hexdigest() != named:
                wrong.append(f"DVC's cache: {path.parent.name}/{path.name} is not its content")
    return wrong


def mlflow(world: World, round_: Round) -> list[str]:
    """Runs that are left RUNNING; points of a part's curve that are missing, twice, or too many."""
    from mlflow import MlflowClient

    client = MlflowClient(world.mlflow.uri)
    experiment = client.get_experiment_by_name(f"round{round_.number}")
    if experiment is None:
        return ["MLflow has no experiment of this round"]
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    wrong = [
        f"MLflow run {run.info.run_name} is left {run.info.status}"
        for run in runs
        if run.info.status == "RUNNING"
    ]
    curves: dict[str, Any] = {}
    for key in set(round_.keys_stored()) - round_.before:
        if key.endswith("/result.json"):
            curves[key.split("/")[1]] = json.loads(round_.stored(key))["curve"]
    for key, curve in curves.items():
        own = [run for run in runs if run.data.tags.get("sgan.part_key") == key]
        wrong += _points(client, own, key, curve)
    return wrong


def _points(client: Any, runs: list[Any], key: str, curve: list[dict[str, float]]) -> list[str]:
    wanted: Counter = Counter()
    for row in curve:
        wanted.update((name, int(row["images_seen"])) for name in row if name != "images_seen")
    found: Counter = Counter()
    backwards = 0
    names = {name for name, _ in wanted}
    for run in runs:
        for name in names & run.data.metrics.keys():
            steps = [point.step for point in client.get_metric_history(run.info.run_id, name)]
            backwards += sum(b <= a for a, b in pairwise(steps))
            found.update((name, step) for step in steps)
    part = next(iter(names), key).split("/")[0]
    wrong = []
    if missing := wanted - found:
        wrong.append(f"MLflow, {part}: {missing.total()} of {wanted.total()} points are missing")
    if more := found - wanted:
        wrong.append(f"MLflow, {part}: {more.total()} points twice or of no step of the curve")
    if backwards:
        wrong.append(f"MLflow, {part}: {backwards} points do not go forward")
    return wrong


def processes(world: World, round_: Round) -> list[str]:
    """What still runs though `dvc repro` has ended."""
    left = [*round_.processes(), *world.training()]
    psutil.wait_procs(left, timeout=10)
    return [f"{name} still runs" for name in sorted({_name(p) for p in left if p.is_running()})]


def _name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:80]
    except psutil.Error:
        return "a process that has just ended"


def told(round_: Round, start: int) -> list[str]:
    """What is wrong with what a person was shown when `dvc repro` failed: a stack trace, or no word
    of ours though the stage was not killed outright."""
    text = round_.log_file(start).read_text(errors="replace")
    if "Traceback (most recent call last)" in text:
        after = text.rpartition("Traceback (most recent call last)")[2].splitlines()
        last = next((line for line in after if line and not line.startswith((" ", "("))), "")
        return [f"a stack trace was printed, which ends in: {last[:160]}"]
    killed = "exited with -9" in text or round_.ended() == -signal.SIGKILL
    if killed or any(line.startswith(OURS) for line in text.splitlines()):
        return []
    return ["the stage ended without a word of ours"]
