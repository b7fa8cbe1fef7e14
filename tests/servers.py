"""Real servers on 127.0.0.1 that a test can end and start again: MLflow, S3."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from tests.cluster_rig import end_tree, free_port

# Debian keeps the server's programs off PATH.
_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


class Server:
    """A process that listens on a port of its own, with a log in a folder.

    Attributes:
        folder: where it keeps what it holds, across a `kill` and the next `start`.
        port: of 127.0.0.1.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder, self.port = folder, port or free_port()
        self._process: subprocess.Popen | None = None

    def command(self) -> list[str]:
        """What is run, in `folder`."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it takes requests."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def start(self) -> None:
        """Start it, and wait until it answers. Fails with its log where it does not."""
        log = self.folder / f"{type(self).__name__}.log"
        with open(log, "a") as out:
            self._process = self.launch(self.command(), out)
        deadline = time.monotonic() + 120
        while not self.answers():
            alive = self._process.poll() is None
            assert alive and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

    def launch(self, command: list[str], out: object) -> subprocess.Popen:
        """Start the process, in a group of its own."""
        return subprocess.Popen(
            command, stdout=out, stderr=out, cwd=self.folder, start_new_session=True
        )

    def kill(self) -> None:
        """End it from one moment to the next; asked to end, some take 20 s."""
        if self._process is not None:
            end_tree(self._process)
            self._process = None


class S3Server(Server):
    """moto's server, which keeps what it is given in memory."""

    def command(self) -> list[str]:
        """Its command."""
        program = Path(sys.executable).with_name("moto_server")
        return [sys.executable, str(program), "-H", "127.0.0.1", "-p", str(self.port)]

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self, url: str | None = None) -> dict[str, str]:
        """What a client has to have in its environment; `url` where it goes by a proxy."""
        return {
            "AWS_ENDPOINT_URL": url or self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


class MlflowServer(Server):
    """`mlflow server` over a database: sqlite's file `server.db` in its folder, unless told."""

    def __init__(self, folder: Path, port: int = 0, database: str = "") -> None:
        super().__init__(folder, port)
        self.database = database or f"sqlite:///{folder}/server.db"

    @property
    def uri(self) -> str:
        """Its tracking URI."""
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Its command."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", self.database]
        return [*command, "--artifacts-destination", str(self.folder / "artifacts")]

    def answers(self) -> bool:
        """Whether it says that it is well."""
        with suppress(OSError):
            return urllib.request.urlopen(f"{self.uri}/health", timeout=2).status == 200
        return False


class Postgres(Server):
    """PostgreSQL with an empty database, in a folder of its own outside the tests' (those may be
    closed to the account that it runs under, which may not be root)."""

    @staticmethod
    def why_not() -> str:
        """Why there is none here; "" where there is."""
        return "" if _POSTGRES and shutil.which("psql") else "PostgreSQL is not installed"

    def __init__(self, folder: Path, port: int = 0) -> None:
        super().__init__(folder, port)
        self._bin = _POSTGRES[-1].parent
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)
        init = [str(self._bin / "initdb"), "-D", str(folder / "data"), "-U", "sgan", "--no-sync"]
        subprocess.run(
            [*init, "--auth=trust"], check=True, capture_output=True, user=self._user, cwd=folder
        )

    @property
    def uri(self) -> str:
        """SQLAlchemy's URI of its database."""
        return f"postgresql+psycopg2://sgan@127.0.0.1:{self.port}/postgres"

    def command(self) -> list[str]:
        """Its command."""
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        options += ["-c", "fsync=off", "-p", str(self.port)]
        return [str(self._bin / "postgres"), "-D", str(self.folder / "data"), *options]

    def launch(self, command: list[str], out: object) -> subprocess.Popen:
        """Start it under an account that may run it."""
        return subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            cwd=self.folder,
            start_new_session=True,
            user=self._user,
        )
