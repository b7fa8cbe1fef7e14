"""infra/compose.yaml without Docker: its services as processes of this machine.

Each service of our image is the image's own entry point, with the command, the environment and
the secrets that compose.yaml gives it; a service's name becomes an address of this machine.
PostgreSQL is this machine's, and moto's server stands for the S3-compatible store.
"""

import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from tests.cluster_rig import end_tree, free_port
from tests.servers import Postgres, S3Server

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = ROOT / "infra" / "compose.yaml"
ENTRYPOINT = ROOT / "infra" / "docker" / "entrypoint.sh"
# A service and the port that it has in compose.yaml.
_ADDRESSES = ("s3:9000", "postgres:5432", "mlflow:5000", "head:6379", "serve:8000")
# So that nodes of one machine do not meet; a container has its own ports, memory and /tmp.
_STORE = "--object-store-memory=150000000"


class Composed:
    """The services, started one after the other as `depends_on` has it.

    Attributes:
        folder: with a log for each process, and the secrets.
        ports: of 127.0.0.1, by the address in compose.yaml; `jobs` and `metrics` are the head's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in (*_ADDRESSES, "jobs", "metrics")}
        self.services: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
        self._ray = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # sockets' paths are short
        self._values = {"S3_USER": "sgan", "S3_PASSWORD": secrets.token_hex(8)}
        self._started: list[subprocess.Popen] = []
        self._servers: list[Any] = []
        (folder / "secrets").mkdir(parents=True)
        token = os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(32)
        for name, value in (("postgres", secrets.token_hex(8)), ("ray_token", token)):
            (folder / "secrets" / name).write_text(value)

    def start(self) -> None:
        """Start them all; fails, with the log, where one does not get going."""
        s3 = S3Server(self._made("s3"), self.ports["s3:9000"])
        database = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        postgres = Postgres(database, self.ports["postgres:5432"])
        self._servers = [s3, postgres]
        for server in self._servers:
            server.start()
        self._create_database()
        self._run("buckets")
        self._begin("mlflow", {"SGAN_MLFLOW_PORT": str(self.ports["mlflow:5000"])})
        well = f"http://127.0.0.1:{self.ports['mlflow:5000']}/health"
        self._until("mlflow", lambda: _is_well(well))
        ports = {
            "SGAN_HEAD_PORT": str(self.ports["head:6379"]),
            "SGAN_JOBS_PORT": str(self.ports["jobs"]),
            "SGAN_METRICS_PORT": str(self.ports["metrics"]),
            "RAY_raylet_start_wait_time_s": "120",
        }
        options = [f"--temp-dir={self._ray}", f"--dashboard-agent-listen-port={free_port()}"]
        self._begin("head", ports, [*options, _STORE])
        self._until("head", lambda: "Ray runtime started" in self.log("head"))
        for number in range(self.services["worker"]["deploy"]["replicas"]):
            own = {"SGAN_LISTEN": f"127.0.0.{number + 3}", "SGAN_CPUS": "1"}
            own |= {"SGAN_METRICS_PORT": str(free_port()), "RAY_raylet_start_wait_time_s": "120"}
            options = [f"--dashboard-agent-listen-port={free_port()}", _STORE]
            name = f"worker{number}"
            # One after the other: nodes that start together on two cores time out.
            self._begin("worker", own, options, name)
            self._until(name, lambda name=name: "Ray runtime started" in self.log(name))

    def serve(self, model: str) -> str:
        """Start the profile `serve` for a model, NAME@ALIAS; returns its address."""
        self._values["SGAN_MODEL"] = model
        self._begin("serve", {})
        address = f"http://127.0.0.1:{self.ports['serve:8000']}"
        self._until("serve", lambda: _is_well(f"{address}/healthz"))
        return address

    def stop(self) -> None:
        """End every process, and what it left."""
        for process in reversed(self._started):
            if process.poll() is None:
                end_tree(process)
        for server in reversed(self._servers):
            server.kill()
            if isinstance(server, Postgres):
                shutil.rmtree(server.folder, ignore_errors=True)
        shutil.rmtree(self._ray, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """What a container of the stack has in its environment, for a driver on this machine."""
        reach = self._environment("worker", {})
        return {**reach, "RAY_ADDRESS": f"127.0.0.1:{self.ports['head:6379']}"}

    def query(self, statement: str) -> None:
        """Let PostgreSQL do something as its superuser."""
        command = ["psql", "-h", "127.0.0.1", "-p", str(self.ports["postgres:5432"])]
        command += ["-U", "sgan", "-d", "postgres", "-c", statement]
        subprocess.run(command, check=True, capture_output=True)

    def log(self, name: str) -> str:
        """What a process printed."""
        return (self.folder / f"{name}.log").read_text()

    def _made(self, name: str) -> Path:
        (self.folder / name).mkdir()
        return self.folder / name

    def _create_database(self) -> None:
        """What PostgreSQL's image does with POSTGRES_USER, …_DB and …_PASSWORD_FILE."""
        settings = self.services["postgres"]["environment"]
        user, database = settings["POSTGRES_USER"], settings["POSTGRES_DB"]
        password = (self.folder / "secrets" / "postgres").read_text()
        self.query(f"CREATE ROLE {user} LOGIN PASSWORD '{password}'")
        self.query(f"CREATE DATABASE {database} OWNER {user}")

    def _environment(self, service: str, own: dict[str, str]) -> dict[str, str]:
        found = dict(self.services[service].get("environment", {}))
        for file in self.services[service].get("env_file", ()):
            lines = (COMPOSE.parent / file).read_text().splitlines()
            entries = [line.split("=", 1) for line in lines if line and line[0] != "#"]
            found = {**dict(entries), **found}
        kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        told = {name: self._here(str(value)) for name, value in found.items()}
        return {**kept, **told, "SGAN_LISTEN": "127.0.0.1", **own}

    def _here(self, value: str) -> str:
        """A value of compose.yaml with this machine's addresses, files and passwords."""
        value = re.sub(r"\$\{(\w+):[?-][^}]*\}", lambda found: self._values[found[1]], value)
        value = value.replace("/run/secrets/", f"{self.folder}/secrets/")
        for address, port in self.ports.items():
            value = re.sub(rf"(?<![\w.]){address}\b", f"127.0.0.1:{port}", value)
        return value

    def _command(self, service: str, more: list[str]) -> list[str]:
        told = [self._here(str(word)) for word in self.services[service]["command"]]
        if service == "serve":
            told[told.index("--port") + 1] = str(self.ports["serve:8000"])
        return ["sh", str(ENTRYPOINT), *told, *more]

    def _run(self, service: str) -> None:
        with open(self.folder / f"{service}.log", "w") as log:
            subprocess.run(
                self._command(service, []),
                env=self._environment(service, {}),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                check=True,
                timeout=60,
            )

    def _begin(
        self, service: str, own: dict[str, str], more: list[str] | None = None, name: str = ""
    ) -> None:
        with open(self.folder / f"{name or service}.log", "w") as log:
            self._started.append(
                subprocess.Popen(
                    self._command(service, more or []),
                    env=self._environment(service, own),
                    cwd=self.folder,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def _until(self, name: str, true: Callable[[], bool], seconds: float = 150) -> None:
        deadline = time.monotonic() + seconds
        process = self._started[-1]
        while not true():
            assert process.poll() is None, self.log(name)
            assert time.monotonic() < deadline, self.log(name)
            time.sleep(0.2)


def _is_well(address: str) -> bool:
    with suppress(OSError):
        return urllib.request.urlopen(address, timeout=2).status == 200
    return False
