"""What can break: a cluster of nodes that share no files, S3 behind a proxy, an MLflow server."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from pipeline.cluster.notice import part_of
from tests.cluster_rig import Cluster, Node, end_tree
from tests.fault_proxy import FaultProxy
from tests.project import Project
from tests.servers import MlflowServer, Postgres, S3Server

BUCKET = "sgan"
DONE = 10**9  # the steps of a finished part
TRAINED = ("ray::encoder", "ray::level", "ray::joint")


class World:
    """Everything but the project; `mend` puts back whatever is down.

    Attributes:
        cluster: three nodes of one core; the head is this machine as it is, the others apart.
        s3, proxy: the store, and the way to it.
        mlflow: the tracking server, over PostgreSQL where it is installed.
        told: the processes that the newest stop has to end.
    """

    def __init__(self, folder: Path, *, database: Path | None = None) -> None:
        self.folder = folder
        self._postgres = None
        uri = ""
        for name in ("s3", "mlflow", "postgres"):
            (folder / name).mkdir()
        if database is not None:
            shutil.copy(database, folder / "mlflow" / "server.db")
        elif not Postgres.why_not():
            self._postgres = Postgres(folder / "postgres")
            uri = self._postgres.uri
        self.s3 = S3Server(folder / "s3")
        self.mlflow = MlflowServer(folder / "mlflow", database=uri)
        self.cluster = _nodes()
        self.proxy: FaultProxy | None = None
        self.told: list[psutil.Process] = []

    def start(self) -> None:
        """Start all of it, side by side where that is possible."""
        if self._postgres:
            self._postgres.start()
        self.s3.start()
        self.proxy = FaultProxy(self.s3.port)
        self.proxy.__enter__()
        self.bucket()
        self._start_cluster()
        self.mlflow.start()
        self.cluster.wait()

    def stop(self) -> None:
        """End all of it."""
        self.cluster.stop()
        if self.proxy:
            self.proxy.__exit__()
        for server in (self.mlflow, self.s3, self._postgres):
            if server:
                server.kill()

    def mend(self) -> None:
        """Replace nodes that are gone, start servers that are down, and end faults of the proxy."""
        assert self.proxy is not None
        self.proxy.heal()
        if not self.mlflow.answers():
            self.mlflow.kill()
            self.mlflow.start()
        head, *others = self.cluster.nodes
        if not (_whole(head) and head.named("gcs_server")):
            self.cluster.stop()
            self.cluster = _nodes()
            self._start_cluster()
        else:
            for node in others:
                if not _whole(node):
                    node.kill()
                    self.cluster.nodes.remove(node)
                    self.cluster.add_node()
        self.cluster.wait()

    def _start_cluster(self) -> None:
        self.cluster.start_head(apart=False, dashboard=False)
        for _ in range(2):
            self.cluster.add_node()

    def environment(self) -> dict[str, str]:
        """What a driver needs to use all of it."""
        assert self.proxy is not None
        return {
            **self.cluster.environment(),
            **self.s3.environment(self.proxy.url),
            "MLFLOW_TRACKING_URI": self.mlflow.uri,
        }

    def client(self) -> Any:
        """A client of S3 that does not go by the proxy."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.s3.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )

    def bucket(self) -> None:
        """Make the bucket."""
        self.client().create_bucket(Bucket=BUCKET)

    def training(self, nodes: list[Node] | None = None) -> list[psutil.Process]:
        """Worker processes that train a part now, on these nodes or any."""
        return [p for node in nodes or self.cluster.nodes for p in node.named(*TRAINED)]


def parts_of(processes: list[psutil.Process]) -> set[str]:
    """The parts that these train."""
    return set(map(part_of, processes)) - {""}


def _nodes() -> Cluster:
    return Cluster(cpus=1, object_store_mb=200, pin=False)


def _whole(node: Node) -> bool:
    return node.process.poll() is None and bool(node.named("raylet"))


class Round(Project):
    """A project with nothing trained and a storage with nothing in it, worked on until `dvc repro`
    has run through.

    Attributes:
        number: which round; 0 is the quiet one.
        storage: `s3`, or `disk` for `.runs` on the driver's disk.
        repro: the newest `dvc repro`; None before the first.
        starts: how often it was started.
        small: its own disks, by what lies there.
        before: what storage held before the first start.
    """

    def __init__(self, root: Path, number: int, storage: str, world: World, target: str) -> None:
        super().__init__(root)
        self.number, self.storage = number, storage
        self.repro: subprocess.Popen | None = None
        self.starts = 0
        self.small: dict[str, Path] = {}
        self._world, self._target = world, target
        self.before = set(self.keys_stored())

    def environment(self) -> dict[str, str]:
        """With the world's addresses, and folders of this round's own."""
        own = {
            "MLFLOW_EXPERIMENT_NAME": f"round{self.number}",
            "TMPDIR": str(self.root.parent / "tmp"),
            "SGAN_CACHE": str(self.root.parent / "cache"),
        }
        if self.storage == "s3":
            own["SGAN_STORAGE"] = f"s3://{BUCKET}/round{self.number}"
        return {**super().environment(), **self._world.environment(), **own}

    def own_disks(self) -> None:
        """A small disk each for storage, TMPDIR and artifacts, so that each can be full alone."""
        self.small = {
            "storage": self.root / ".runs",
            "TMPDIR": self.root.parent / "tmp",
            "artifacts": self.root / "artifacts",
        }
        for path in self.small.values():
            kept = path.with_name(path.name + ".kept")
            path.mkdir(parents=True, exist_ok=True)
            path.rename(kept)
            path.mkdir()
            mount = ["mount", "-t", "tmpfs", "-o", "size=600m", f"chaos-{path.name}", str(path)]
            subprocess.run(mount, check=True)
            shutil.copytree(kept, path, dirs_exist_ok=True, symlinks=True)
            shutil.rmtree(kept)

    def begin(self) -> None:
        """Start `dvc repro`, in a process group of its own as a terminal would."""
        self.starts += 1
        command = [sys.executable, "-m", "dvc", "repro", *self._target.split()]
        with open(self.log_file(), "w") as out:
            self.repro = subprocess.Popen(
                command,
                cwd=self.root,
                env=self.environment(),
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def log_file(self, start: int = 0) -> Path:
        """What a start printed, the newest by default."""
        return self.root.parent / f"repro-{self.number}-{start or self.starts}.log"

    def ended(self) -> int | None:
        """Exit status of `dvc repro` once it has ended."""
        return self.repro.poll() if self.repro else None

    def stage_processes(self) -> list[psutil.Process]:
        """`python -m pipeline <stage>` of this round."""
        found = []
        for process in self.processes():
            with suppress(psutil.Error):
                if process.cmdline()[1:3] == ["-m", "pipeline"]:
                    found.append(process)
        return found

    def stages(self) -> list[str]:
        """The stages that have begun in this round, in order."""
        names: list[str] = []
        for start in range(1, self.starts + 1):
            for line in self.log_file(start).read_text(errors="replace").splitlines():
                if line.startswith("Running stage '"):
                    names.append(line.split("'")[1])
        return list(dict.fromkeys(names))

    def reached(self) -> dict[str, int]:
        """Steps of each part's newest checkpoint; a large number for a finished part."""
        found: dict[str, int] = {}
        for key in self.keys_stored():
            part, _, name = key.partition("/")
            name = name.rpartition("/")[2]
            step = DONE if name == "result.json" else -1
            if name.startswith("step-"):
                step = int(name.removeprefix("step-")[:10])
            if step >= 0:
                found[part] = max(found.get(part, 0), step)
        return found

    def keys_stored(self) -> list[str]:
        """What storage holds of this round, by key."""
        if self.storage == "disk":
            root = self.root / ".runs"
            paths = [path for path in root.rglob("*") if path.is_file()]
            return [path.relative_to(root).as_posix() for path in paths]
        prefix = f"round{self.number}/"
        pages = self._world.client().get_paginator("list_objects_v2")
        pages = pages.paginate(Bucket=BUCKET, Prefix=prefix)
        return [o["Key"].removeprefix(prefix) for page in pages for o in page.get("Contents", ())]

    def stored(self, key: str) -> bytes:
        """One of them."""
        if self.storage == "disk":
            return (self.root / ".runs" / key).read_bytes()
        whole = f"round{self.number}/{key}"
        return self._world.client().get_object(Bucket=BUCKET, Key=whole)["Body"].read()

    def end(self) -> None:
        """End what still runs of this round, and give its disks back."""
        if self.repro and self.repro.poll() is None:
            end_tree(self.repro)
        for process in self.processes():
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        for path in self.small.values():
            subprocess.run(["umount", "--lazy", str(path)], check=False)


def isolated() -> None:
    """Go on in a mount namespace of this program's own: small disks end with it."""
    if os.environ.get("CHAOS_ISOLATED") == "1":
        return
    os.environ["CHAOS_ISOLATED"] = "1"
    own = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "tests.chaos"]
    os.execvp("unshare", [*own, *sys.argv[1:]])
