"""A project folder for a test: a copy of this checkout's code in a git repository of its own."""

import functools
import hashlib
import json
import operator
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from pipeline.processes import is_alive

ROOT = Path(__file__).resolve().parents[1]
CODE = ("pipeline", "sgan", "conf", "tests/data", ".dvc/config")
CODE += ("dvc.yaml", "params.yaml", "pyproject.toml", ".gitignore", ".dvcignore")
UNWANTED = shutil.ignore_patterns("*.egg-info")  # compiled modules save each process a second
# Overrides for tests in which it hardly matters what is trained: a fifth of the smoke budget.
LITTLE = [f"runtime.threads.{kind}=1" for kind in ("encoder", "joint", "judge")]
LITTLE += ["encoder.total_images=4000", "levels.0.total_images=1000", "levels.1.total_images=10000"]
LITTLE += ["joint.total_images=500", "evaluate.cas=false", "evaluate.judge_epochs=1.0"]
RESULTS = ("encoder", "features", "levels", "joint")
# Runs several commands of DVC in one process; each would take most of a second to begin.
DVC = """
import json, sys
from dvc.cli import main

for command in json.loads(sys.argv[1]):
    code = main(command)
    print(chr(0), flush=True)
    if code:
        sys.exit(code)
"""
REPRO_S = 800  # it takes a minute; on a machine that others use too, many


class Project:
    """A project folder, the commands that run in it, and what they leave there.

    Attributes:
        root: the folder.
        log: what the newest `repro` printed.
        ran: the stages that the session's `repro` from nothing ran.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = ""
        self.ran: list[str] = []

    @classmethod
    def create(cls, root: Path) -> "Project":
        """A copy of the checkout's code as a git repository with one commit, nothing trained."""
        for name in CODE:
            source, target = ROOT / name, root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=UNWANTED)
            else:
                shutil.copy2(source, target)
        project = cls(root)
        project.run("git", "init", "--quiet")
        project.commit("the checkout")
        return project

    def copy(self, root: Path) -> "Project":
        """A copy of everything: code, outputs, DVC's cache, .runs and the MLflow database."""
        shutil.copytree(self.root, root, symlinks=True, ignore=UNWANTED)
        with sqlite3.connect(root / "mlflow.db") as database:
            for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
                database.execute(  # MLflow keeps the whole path of every run's files
                    f"UPDATE {table} SET {column} = ? || substr({column}, instr({column}, ?))",
                    (root.as_uri(), "/mlartifacts"),
                )
        database.close()
        return Project(root)

    def environment(self) -> dict[str, str]:
        """This session's environment, in which `python` and `dvc` are the ones of this Python."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**os.environ, "PATH": path}

    def run(self, *command: str, code: int = 0, timeout: float = REPRO_S) -> str:
        """Run a command here; returns what it printed. Fails unless it ends with `code`."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def start(self, *command: str, log: str = "process.log") -> subprocess.Popen:
        """Start a command here in the background; its output goes to the file `log` here."""
        with open(self.root / log, "w") as out:
            return subprocess.Popen(
                command, cwd=self.root, env=self.environment(), stdout=out, stderr=out
            )

    def commit(self, message: str) -> None:
        """Commit everything that git does not ignore."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def sgan(self, *arguments: str, **options: Any) -> str:
        """`python -m pipeline …`."""
        return self.run("python", "-m", "pipeline", *arguments, **options)

    def dvc(self, *commands: str) -> list[str]:
        """`dvc …` for each of `commands`, in one process; returns what each printed."""
        split = json.dumps([shlex.split(command) for command in commands])
        *told, _ = self.run("python", "-c", DVC, split).split("\0\n")
        return told

    def repro(self, *arguments: str) -> list[str]:
        """`dvc repro`; returns the stages that ran."""
        self.log = self.run("dvc", "repro", *arguments)
        running = "Running stage '"
        lines = [line for line in self.log.splitlines() if line.startswith(running)]
        return [line.removeprefix(running).rstrip("':") for line in lines]

    def edit(self, **values: Any) -> None:
        """Edit params.yaml by hand, so to speak: `edit(levels={"1": {"lambda_ent": 5.0}})`."""
        path = self.root / "params.yaml"
        params = yaml.safe_load(path.read_text())
        _merge(params, values)
        path.write_text(yaml.safe_dump(params, sort_keys=False))

    def put(self, name: str, value: Any) -> None:
        """Set what params.yaml may lack, as a whole: `put("tune.space.1", {...})`."""
        path = self.root / "params.yaml"
        params = yaml.safe_load(path.read_text())
        mapping, last = holder(params, name)
        mapping[last] = value
        path.write_text(yaml.safe_dump(params, sort_keys=False))

    def keys(self, part: str) -> set[str]:
        """The keys under which storage holds something of a part."""
        return {path.name for path in (self.root / ".runs" / part).glob("*")}

    def checkpoint_steps(self, part: str) -> list[int]:
        """Steps of the checkpoints that storage holds of a part, ascending."""
        found = (self.root / ".runs" / part).glob("*/step-*.pt")
        return sorted(int(path.stem.removeprefix("step-")) for path in found)

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file that a training or an encoding left, and of the sheets."""
        results = [self.root / "artifacts" / name for name in RESULTS]
        files = [path for folder in results for path in sorted(folder.iterdir())]
        files += sorted((self.root / "artifacts/evaluate").glob("*.png"))
        content = ((str(p.relative_to(self.root)), p.read_bytes()) for p in files)
        return {name: hashlib.sha256(found).hexdigest() for name, found in content}

    def records(self) -> dict[str, dict]:
        """What every part's newest result says of what it ran on."""
        paths = (self.root / ".runs").glob("*/*/result.json")
        return {
            path.parts[-3]: json.loads(path.read_text())["record"]
            for path in sorted(paths, key=lambda path: path.stat().st_mtime)
        }

    def mlflow(self) -> Any:
        """A client of the project's own MLflow database."""
        import mlflow

        uri = f"sqlite:///{self.root / 'mlflow.db'}"
        return mlflow.MlflowClient(uri, registry_uri=uri)

    def runs(self, **tags: str) -> list[Any]:
        """MLflow runs whose tags `sgan.<name>` have these values, oldest first."""
        client = self.mlflow()
        experiment = client.get_experiment_by_name("sgan").experiment_id
        wanted = " and ".join(f"tags.`sgan.{name}` = '{value}'" for name, value in tags.items())
        return client.search_runs([experiment], wanted, order_by=["attributes.start_time ASC"])

    def processes(self) -> list[psutil.Process]:
        """Every process that works in this folder, or whose command line names it."""
        found = []
        for process in psutil.process_iter():
            try:
                named = str(self.root) in " ".join(process.cmdline())
                inside = Path(process.cwd()).is_relative_to(self.root)
            except (psutil.Error, OSError):
                continue
            if (named or inside) and is_alive(process):
                found.append(process)
        return found


def holder(values: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """The mapping in which a setting's path (`tune.space.1`) ends, and its name there."""
    *folder, last = path.split(".")
    return functools.reduce(operator.getitem, folder, values), last


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        assert name in into, f"params.yaml has no {name}"
        if isinstance(value, Mapping):
            _merge(into[name], value)
        else:
            into[name] = value


def wait_until(true: Callable[[], Any], seconds: float, what: str) -> Any:
    """Poll until `true()` is, and return it; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = true()
        if found:
            return found
        time.sleep(0.05)
    pytest.fail(f"{what}: not within {seconds:g} s")
