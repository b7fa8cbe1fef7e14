"""Real projects to run `dvc repro` in, and small real inputs to train parts on.

A project is a copy of this checkout's code, with what is not committed yet, in a git repository of
its own. One is trained once per session, whatever the number of worker processes; each reads a copy
of its own, and tests that change anything take another.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.cluster_rig import Cluster, cluster, why_not

ROOT = Path(__file__).resolve().parents[2]
CODE = ("pipeline", "sgan", "conf", "tests/data", ".dvc/config")
CODE += ("dvc.yaml", "params.yaml", "pyproject.toml", ".gitignore", ".dvcignore")
UNWANTED = shutil.ignore_patterns("*.egg-info")  # compiled modules save each process a second
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

    def keys(self, part: str) -> set[str]:
        """The keys under which storage holds something of a part."""
        return {path.name for path in (self.root / ".runs" / part).glob("*")}

    def checkpoint_steps(self, part: str) -> list[int]:
        """Steps of the checkpoints that storage holds of a part, ascending."""
        found = (self.root / ".runs" / part).glob("*/step-*.pt")
        return sorted(int(path.stem.removeprefix("step-")) for path in found)

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
            if (named or inside) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found


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


@pytest.fixture(scope="session")
def nodes_apart() -> Iterator[Cluster]:
    """Three Ray nodes of a core each, of which the two that are not the tests' share no files with
    them. Tests that use it run in one process and may not kill its nodes."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with cluster(nodes=3, cpus=1) as nodes:
        yield nodes


@pytest.fixture(scope="session")
def stages_from() -> Callable[[str], list[str]]:
    """`stages_from("levels")`: that stage and every later one, in their order."""
    from pipeline.stages import ORDER

    return lambda first: list(ORDER[ORDER.index(first) :])


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """`until(condition, seconds, what)`: wait for a condition, or fail."""
    return wait_until


def _train(folder: Path) -> None:
    """One `dvc repro` from nothing, on the small set and the smoke budget, composed and committed.

    Leaves the project in `folder`/sgan and, beside it, the stages that ran.
    """
    project = Project.create(folder / "sgan")
    # One thread each: two that share a core with another test process wait for each other.
    project.sgan("compose", "data=mnist_small", "budget=smoke", "runtime.cpus_per_worker=1.0")
    project.commit("small data, small budget")
    ran = project.repro()
    (folder / "ran.json").write_text(json.dumps(ran))


@pytest.fixture(scope="session")
def trained(once: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The session's trained project. Commands may run in it, but none that changes it."""
    folder = once("trained", _train)
    project = Project(folder / "sgan").copy(tmp_path_factory.mktemp("trained") / "sgan")
    project.ran = json.loads((folder / "ran.json").read_text())
    return project


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Iterator[Project]:
    """A copy of the trained project that a test may change; what it started is ended with it."""
    copy = trained.copy(tmp_path / "sgan")
    yield copy
    for process in copy.processes():
        process.send_signal(signal.SIGKILL)


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of real shards, of an encoder that has not been trained, and of its features."""
    import torch

    from pipeline.data import feature_writer, shard_writer, shards, sources
    from pipeline.params.settings import DataConfig
    from sgan.config import EncoderConfig, ImageConfig
    from sgan.encoder import Encoder
    from sgan.weights import save_encoder

    folder = tmp_path_factory.mktemp("material")
    settings = DataConfig("custom", str(ROOT / "tests/data/mnist-small"), shard_images=300)
    dataset, provenance = sources.load(settings)
    shard_writer.write(dataset, folder / "data", settings, provenance)
    torch.manual_seed(0)
    encoder = Encoder(ImageConfig(1, 28, 28, 10), EncoderConfig(cut=("fc",))).freeze()
    save_encoder(folder / "encoder.safetensors", encoder, {})
    images, labels = shards.read_split(folder / "data", "train")
    with torch.no_grad():
        hidden = encoder.encode(encoder.to_h0(torch.from_numpy(images).permute(0, 3, 1, 2)))
    columns = {"h1": hidden[1].numpy(), "y": labels}
    feature_writer.write(folder / "features.arrow", columns)
    return {
        "data": str(folder / "data"),
        "encoder": str(folder / "encoder.safetensors"),
        "features": str(folder / "features.arrow"),
    }


@pytest.fixture
def make_part(material: dict[str, str], tmp_path: Path) -> Callable[..., Any]:
    """`make_part(level, total_images, storage=None, workers=1, batch_norm="per_rank", **fields)`:
    a level on the material; `fields` are its placement's."""
    from pipeline.parts.part import Identity, Part, Placement
    from sgan.config import EncoderConfig, ImageConfig, LevelConfig, StackConfig

    def make(
        level: int,
        total_images: int,
        storage: Path | None = None,
        workers: int = 1,
        batch_norm: Any = "per_rank",
        **fields: Any,
    ) -> Part:
        config = LevelConfig(
            z_dim=8,
            batch_size=50,
            total_images=total_images,
            lr_g=5e-4,
            workers=workers,
            batch_norm=batch_norm,
        )
        stack = StackConfig(
            ImageConfig(1, 28, 28, 10), EncoderConfig(cut=("fc",)), (config, config)
        )
        where = {"inputs": material, "storage": str(storage or tmp_path / "runs")}
        placed = {"device": "cpu", "checkpoint_seconds": 0.2, **where, **fields}
        placement = Placement(**placed)
        return Part(Identity.of_level(stack, level, {"data": "small"}), placement)

    return make
