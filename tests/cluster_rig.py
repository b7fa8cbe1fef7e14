"""A Ray cluster of several nodes on this machine that share no files, as separate machines do.

Every node but the driver's lives in a mount namespace and a process namespace of its own: the
checkout, the home directory, temporary folders and shared memory are empty there, and the project
is not installed. What is left is what a machine with the same packages would have: Python and the
libraries. Nodes know nothing of the driver's environment either.
"""

import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
_UNSHARE = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc"]
_UNSHARE += ["--kill-child"] + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])
# Ray would wait five times as long before it holds a node for dead.
_QUICK = {
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "5",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
}


def why_not() -> str:
    """Why this machine can have no such nodes; "" where it can."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        return "nodes that share no files need Linux and util-linux's unshare"
    done = subprocess.run([*_UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True)
    return f"no namespaces here: {done.stderr.decode().strip()}" if done.returncode else ""


def free_port() -> int:
    """A TCP port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end_tree(process: subprocess.Popen) -> None:
    """End a process that this one started, and everything below it, the hard way."""
    tree = []
    with suppress(psutil.Error):
        own = psutil.Process(process.pid)
        tree = [*own.children(recursive=True), own]
    for each in tree:
        with suppress(psutil.Error):
            each.kill()
    psutil.wait_procs(tree, timeout=20)
    process.wait(timeout=20)


class Node:
    """One `ray start`.

    Attributes:
        name: `head`, `node1`, …
        apart: whether it shares no files with the tests.
        inside: whether it has namespaces of its own, which all nodes have but a head that is open.
        log: the file with what `ray start` printed.
    """

    def __init__(
        self, name: str, apart: bool, inside: bool, log: Path, process: subprocess.Popen
    ) -> None:
        self.name, self.apart, self.inside = name, apart, inside
        self.log, self.process = log, process

    def started(self) -> bool:
        """Whether `ray start` says so. Fails where it has ended instead."""
        printed = self.log.read_text()
        assert self.process.poll() is None, f"{self.name} ended:\n{printed}"
        return "Ray runtime started." in printed

    def main(self) -> psutil.Process:
        """`ray start` itself: in a namespace of its own it is the first process there."""
        own = psutil.Process(self.process.pid)
        if not self.inside:
            return own
        for first in own.children():
            return first
        raise psutil.NoSuchProcess(own.pid, self.name)

    def processes(self) -> list[psutil.Process]:
        """Every process of the node, workers too."""
        with suppress(psutil.Error):
            main = self.main()
            return [main, *main.children(recursive=True)]
        return []

    def named(self, *names: str) -> list[psutil.Process]:
        """Its processes whose command line begins with one of these: `raylet`, `gcs_server`,
        `ray::level0`."""
        found = []
        for process in self.processes():
            with suppress(psutil.Error):
                first = (process.cmdline() or [""])[0]
                if Path(first.split(" ")[0]).name.startswith(names):
                    found.append(process)
        return found

    def path(self, path: str | Path) -> Path:
        """Where a file of this node is seen from here."""
        return Path(f"/proc/{self.main().pid}/root{path}") if self.apart else Path(path)

    def here(self, *command: str, cwd: Path | str = "/") -> list[str]:
        """The command that runs a command on this node, in a folder of it. It waits for a child
        which is the command itself: to kill that, kill the child."""
        if not self.inside:
            return ["env", f"--chdir={cwd}", *command]
        enter = ["nsenter", "--target", str(self.main().pid), "--mount", "--pid"]
        enter += [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return [*enter, f"--wdns={cwd}", *command]

    def run(
        self, *command: str, cwd: Path | str = "/", **options: object
    ) -> subprocess.CompletedProcess:
        """`subprocess.run`, as if typed on this node; its output is kept as text."""
        command = tuple(self.here(*command, cwd=cwd))
        return subprocess.run(command, capture_output=True, text=True, **options)

    def kill(self) -> None:
        """The machine is gone, from one moment to the next."""
        if not self.inside:
            end_tree(self.process)
            return
        left = self.processes()
        self.process.kill()  # the namespace, and all that runs there, goes with it
        self.process.wait(20)
        psutil.wait_procs(left, timeout=20)


class Cluster:
    """The nodes, and what a driver has to know to use them.

    Attributes:
        address: `host:port` of the head.
        dashboard: its address, "" where there is none.
        token: which every connection has to show.
        nodes: those that have been started, the head first.
    """

    def __init__(self, *, cpus: int, object_store_mb: int, pin: bool) -> None:
        # Short, since sockets lie in it; one name for all, since nodes take the head's.
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        # Ray reads a process's token once, so that of the environment is every cluster's here.
        self.token = os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(32)
        self.address = self.dashboard = ""
        self.nodes: list[Node] = []
        self._cpus, self._store, self._pin = cpus, object_store_mb * 1_000_000, pin
        self._used = 0

    def environment(self) -> dict[str, str]:
        """What a driver on the node that is not apart has to have in its environment."""
        return {"RAY_ADDRESS": self.address, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}

    def start_head(self, *, apart: bool, dashboard: bool, port: int = 0, web: int = 0) -> Node:
        """The first node, which holds the cluster's own state.

        port, web: its ports of a life before, by which it is known; 0: free ones.
        """
        host = "127.0.0.2" if apart else "127.0.0.1"
        port = port or free_port()
        self.address = f"{host}:{port}"
        options = ["--head", f"--port={port}", f"--temp-dir={self.folder}"]
        if dashboard:
            self.dashboard = f"http://{host}:{(web := web or free_port())}"
            options += [f"--dashboard-host={host}", f"--dashboard-port={web}"]
            # Jobs go through the agent, whose usual port another cluster here may have.
            options.append(f"--dashboard-agent-listen-port={free_port()}")
        options.append(f"--include-dashboard={str(dashboard).lower()}")
        return self._start("head", host, (apart, apart), options)

    def add_node(self, *, apart: bool = True, cpus: int | None = None) -> Node:
        """One more node. `wait` until the cluster has it."""
        number = len(self.nodes)
        options = [f"--address={self.address}"]
        return self._start(f"node{number}", f"127.0.0.{number + 3}", (apart, True), options, cpus)

    def wait(self, seconds: float = 120) -> None:
        """Until every node that was not killed has started."""
        deadline = time.monotonic() + seconds
        waiting = [node for node in self.nodes if node.process.poll() is None]
        while not all(node.started() for node in waiting):
            assert time.monotonic() < deadline, [node.log.read_text() for node in waiting]
            time.sleep(0.1)

    def kill(self, node: Node) -> None:
        """End a node, as when its machine dies."""
        node.kill()

    def stop(self) -> None:
        """End every node and what it left."""
        for node in reversed(self.nodes):
            if node.process.poll() is None:
                node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(
        self,
        name: str,
        host: str,
        apart_inside: tuple[bool, bool],
        options: list[str],
        cpus: int | None = None,
    ) -> Node:
        apart, inside = apart_inside
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *options]
        command += [f"--num-cpus={cpus or self._cpus}", f"--object-store-memory={self._store}"]
        command += [f"--node-ip-address={host}", "--num-gpus=0", "--disable-usage-stats"]
        # Prints of tasks reach no driver: each node would have a process more for that.
        command.append("--include-log-monitor=false")
        if self._pin:
            cores = sorted(os.sched_getaffinity(0))
            command = ["taskset", "--cpu-list", str(cores[self._used % len(cores)]), *command]
        self._used += 1
        if inside:
            command = [*_UNSHARE, "sh", "-c", _program(apart), "sh", *command]
        log = self.folder / f"{name}.log"
        with open(log, "w") as out:
            # A group of its own: a signal to the tests' group is not one to the nodes.
            process = subprocess.Popen(
                command, cwd="/", env=self._own(), stdout=out, stderr=out, start_new_session=True
            )
        node = Node(name, apart, inside, log, process)
        self.nodes.append(node)
        return node

    def _own(self) -> dict[str, str]:
        """A node's environment: nothing of the driver's but where programs are."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**kept, **_QUICK, "RAY_AUTH_TOKEN": self.token}


def _program(apart: bool) -> str:
    """The shell program that empties what separate machines do not share, then runs its arguments.

    Python and its packages stay where they are; this project's entry among them goes.
    """
    if not apart:
        return 'exec "$@"'
    hidden = [ROOT, Path.home(), Path(tempfile.gettempdir()).resolve(), Path("/tmp"), "/dev/shm"]
    kept = {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    kept = [k for k in sorted(kept) if any(k.is_relative_to(h) for h in hidden)]
    installed = Path(sysconfig.get_path("purelib")).glob("__editable__*sgan_pipeline*")
    q, lines = shlex.quote, ["set -e", "mount -t tmpfs none /mnt"]
    for i, path in enumerate(kept):
        lines += [f"mkdir /mnt/{i}", f"mount --bind {q(str(path))} /mnt/{i}"]
    lines += [f"mount -t tmpfs none {q(str(path))}" for path in dict.fromkeys(map(str, hidden))]
    for i, path in enumerate(kept):
        lines += [f"mkdir -p {q(str(path))}", f"mount --move /mnt/{i} {q(str(path))}"]
    lines += [f"mount --bind /dev/null {q(str(path))}" for path in installed]
    return "\n".join([*lines, "umount /mnt", 'exec "$@"'])


@contextmanager
def cluster(
    nodes: int = 3,
    cpus: int = 1,
    *,
    driver: str = "head",
    pin: bool = False,
    dashboard: bool = False,
    object_store_mb: int = 150,
) -> Iterator[Cluster]:
    """Nodes that have started, ended afterwards with everything that ran there.

    Args:
        nodes: how many, the head included.
        cpus: cores that each hands out.
        driver: which node is not apart, where drivers find the checkout and the tests' files:
            "head" (this process is on it), "node" (the second one, `nodes[1]`; a driver is started
            by its `here`, since Ray takes the first raylet that it sees) or "none".
        pin: a core of this machine for each node, in turn.
        dashboard: whether the head has one, which `ray job submit` needs.
        object_store_mb: each node's object store, in MB.
    """
    started = Cluster(cpus=cpus, object_store_mb=object_store_mb, pin=pin)
    try:
        started.start_head(apart=driver != "head", dashboard=dashboard)
        _until(lambda: _listens(started.address), 60, f"{started.nodes[0].log} to listen")
        for number in range(1, nodes):
            started.add_node(apart=not (driver == "node" and number == 1))
        started.wait()
        yield started
    finally:
        started.stop()


def _listens(address: str) -> bool:
    host, port = address.split(":")
    with suppress(OSError), socket.create_connection((host, int(port)), 1):
        return True
    return False


def _until(true: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.05)
