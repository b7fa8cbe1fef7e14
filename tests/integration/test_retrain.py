"""`sgan retrain` as a runner calls it: a clone of a bare remote each time, S3 over HTTP for storage
and for DVC's remote, an MLflow server; what one runner began, another goes on with."""

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest

from tests.fault_proxy import FaultProxy
from tests.project import LITTLE, Project
from tests.servers import MlflowServer, S3Server

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,  # each trains something in full
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("retrain"),
]

RETRAIN = ("python", "-m", "pipeline", "retrain")
BRANCH = "origin/retrain/main"


class Runner(Project):
    """A fresh clone, and how it reaches S3 and MLflow."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.variables: dict[str, str] = {}

    def environment(self) -> dict[str, str]:
        return {**super().environment(), **self.variables}

    def retrain(self, *arguments: str, code: int = 0) -> str:
        """`sgan retrain …`; returns what it printed."""
        return self.run(*RETRAIN, *arguments, code=code)


class World:
    """The servers, the bare remote, and clones of it."""

    def __init__(
        self, folder: Path, s3: S3Server, remote: FaultProxy, mlflow: MlflowServer
    ) -> None:
        self.folder, self.s3, self.remote, self.mlflow = folder, s3, remote, mlflow
        self.data = folder / "data"
        self._clones = 0
        shutil.copytree(Path(__file__).parents[1] / "data" / "mnist-small", self.data)
        self.variables = {
            **s3.environment(),
            "AWS_CONFIG_FILE": str(folder / "aws"),  # DVC takes no device for it
            "MLFLOW_TRACKING_URI": mlflow.uri,
            "SGAN_STORAGE": "s3://kept/runs",
        }
        (folder / "aws").touch()
        made = Runner.create(folder / "first")
        made.variables = self.variables
        made.sgan(
            "compose", "data=mnist_small", f"data.source={self.data}", "budget=smoke", *LITTLE
        )
        (made.root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
        made.run("dvc", "remote", "add", "--default", "kept", "s3://kept/dvc")
        made.run("dvc", "remote", "modify", "kept", "endpointurl", remote.url)
        made.commit("small data, small budget, a remote")
        made.run("git", "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        made.run("git", "push", "--quiet", str(self.bare), "HEAD:main")

    @property
    def bare(self) -> Path:
        """The remote."""
        return self.folder / "origin.git"

    def clone(self, branch: str = "main") -> Runner:
        """What a runner has."""
        self._clones += 1
        clone = Runner(self.folder / f"clone{self._clones}")
        clone.variables = self.variables
        clone.root.mkdir()
        clone.run("git", "clone", "--quiet", "--branch", branch, str(self.bare), ".")
        return clone

    def merge(self) -> None:
        """The pull request is merged."""
        clone = self.clone()
        clone.run("git", "push", "--quiet", "origin", f"{BRANCH}:main")

    def change(self, **values: Any) -> None:
        """A commit to params.yaml on main."""
        clone = self.clone()
        clone.edit(**values)
        clone.commit("a change")
        clone.run("git", "push", "--quiet", "origin", "main")

    def trained(self) -> dict[str, str]:
        """When each finished part was finished, by its key in storage."""
        client = boto3.client(
            "s3", endpoint_url=self.s3.url, aws_access_key_id="a", aws_secret_access_key="b"
        )
        pages = client.get_paginator("list_objects_v2").paginate(Bucket="kept", Prefix="runs/")
        found = [entry for page in pages for entry in page.get("Contents", [])]
        return {
            entry["Key"].removeprefix("runs/"): str(entry["LastModified"])
            for entry in found
            if entry["Key"].endswith("/result.json")
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Iterator[World]:
    """Results of a first retraining, merged."""
    folder = tmp_path_factory.mktemp("retrain")
    for name in ("s3", "mlflow"):
        (folder / name).mkdir()
    shutil.copy(mlflow_database, folder / "mlflow" / "server.db")
    s3, mlflow = S3Server(folder / "s3"), MlflowServer(folder / "mlflow")
    s3.start()
    mlflow.start()
    try:
        client = boto3.client(
            "s3", endpoint_url=s3.url, aws_access_key_id="a", aws_secret_access_key="b"
        )
        client.create_bucket(Bucket="kept")
        with FaultProxy(s3.port) as remote:
            made = World(folder, s3, remote, mlflow)
            told = made.clone().retrain()
            assert "retrain: branch retrain/main pushed" in told
            made.merge()
            yield made
    finally:
        mlflow.kill()
        s3.kill()


def parts(keys: Any) -> list[str]:
    return sorted(key.split("/")[0] for key in keys)


def is_up_to_date(world: World) -> None:
    """A fresh clone of the retrained branch pulls, and has nothing to do."""
    fresh = world.clone("retrain/main")
    fresh.run("dvc", "pull")
    assert "Data and pipelines are up to date" in fresh.run("dvc", "status")
    assert (fresh.root / "artifacts" / "report" / "report.html").is_file()


def test_a_changed_parameter_trains_what_is_stale_and_says_what_is_better(world: World) -> None:
    before = world.trained()
    assert parts(before) == ["encoder", "joint", "level0", "level1"]
    world.change(levels={"1": {"lambda_ent": 5.0}})
    runner = world.clone()
    plan = runner.retrain("--dry-run", "--markdown", "plan.md")
    assert "| level1 | levels.1.lambda_ent: 10.0 → 5.0 |" in (runner.root / "plan.md").read_text()
    assert "level0" not in plan and "encoder" not in plan
    told = runner.retrain()
    assert parts(world.trained().keys() - before.keys()) == ["joint", "level1"]
    text = (runner.root / "artifacts" / "retrain.md").read_text()
    assert "| encoder | unchanged |" in text
    assert "| level1 | trained |" in text and "| level0 | reused" in text
    assert "| params.yaml | levels.1.lambda_ent | 10.0" in text.replace("  ", " ").replace(
        "  ", " "
    )
    # There is no champion yet: whatever was measured, finite and pushed becomes it.
    assert "verdict promoted: sgan-" in told
    for row in ("| scores | no champion yet | all there |", "| git |  | clean |"):
        assert row in text
    assert "| outputs |  | pushed | pushed | ✓ |" in text
    is_up_to_date(world)
    world.merge()
    merged = world.clone()
    version = json.loads((merged.root / "metrics" / "retrain.json").read_text())["version"]
    merged.run("dvc", "pull")
    assert "promoted: sgan-" in merged.sgan("promote", "--version", version)
    assert "nothing is stale" in merged.retrain()


def test_new_data_train_everything_that_they_reach(world: World) -> None:
    before = world.trained()
    images = world.data / "train-images-idx3-ubyte.gz"
    _darkened(images)
    runner = world.clone()
    assert "nothing is stale" in runner.retrain()
    told = runner.retrain("--new-data")
    assert parts(world.trained().keys() - before.keys()) == parts(
        ("encoder/", "joint/", "level0/", "level1/")
    )
    text = (runner.root / "artifacts" / "retrain.md").read_text()
    assert "| prepare | ran |" in text
    # Compared with the champion, whatever the numbers say: every condition has its row.
    assert "verdict " in told
    for row in ("protocol", "fid", "gan_test", "diversity_pixels", "losses", "git", "outputs"):
        assert f"| {row} |" in text, text
    is_up_to_date(world)


def test_killed_waited_for_and_without_its_remote_nothing_is_trained_twice(
    world: World, until
) -> None:
    world.change(encoder={"seed": 5})
    before = world.trained()
    first = world.clone()
    process = first.start(*RETRAIN)
    log = first.root / "process.log"
    until(lambda: "Running stage 'levels'" in log.read_text(), 240, "the encoder is trained")

    told = world.clone().retrain("--no-wait", code=2)
    assert "another retraining of retrain/main is under way" in told

    until(lambda: parts(world.trained().keys() - before.keys()) != ["encoder"], 240, "a level is")
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not first.processes(), 120, "its stage has ended")
    shutil.rmtree(first.root)
    done = world.trained()

    # Another machine takes over; the remote goes away while it works.
    second = world.clone()
    working = second.start(*RETRAIN)
    log = second.root / "process.log"
    until(lambda: "Running stage 'joint'" in log.read_text(), 240, "it goes on")
    world.remote.inject("error", only="PUT", status=403)
    assert working.wait(240) == 2
    assert "Nothing is lost" in log.read_text()
    world.remote.heal()
    after = world.trained()
    assert {key: after[key] for key in done} == done
    assert parts(after.keys() - before.keys()) == ["encoder", "joint", "level0", "level1"]

    told = second.retrain()
    assert "Running stage 'evaluate'" not in told
    assert "branch retrain/main pushed" in told
    assert world.trained() == after
    is_up_to_date(world)


def _darkened(path: Path) -> None:
    """The same images with every pixel a little darker."""
    import gzip

    content = gzip.decompress(path.read_bytes())
    pixels = np.frombuffer(content, np.uint8, offset=16)
    path.write_bytes(gzip.compress(content[:16] + (pixels // 2).astype(np.uint8).tobytes()))
