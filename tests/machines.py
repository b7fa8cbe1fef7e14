"""Two machines on this one: a network, processes and temporary folders of their own.

The first has the checkout. On the second, the folders in which people keep things are empty, and
what it has beyond the system's own programs it installs itself. A wire joins them; nothing else
does, and neither reaches any other network but for commands that ask for it, as installing does.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster_rig import ROOT, end_tree

_NAMESPACES = ["--mount", "--net", "--pid"]
ADDRESSES = {"first": "10.0.0.1", "second": "10.0.0.2"}


def why_not() -> str:
    """Why this machine can hold no such two; "" where it can."""
    if sys.platform != "linux" or not all(
        map(shutil.which, ("unshare", "setpriv", "nsenter", "ip"))
    ):
        return "two machines need Linux, util-linux's unshare and setpriv, and iproute2's ip"
    if os.geteuid():
        return "two machines with a wire between them need root"
    tried = subprocess.run(
        [
            "unshare",
            *_NAMESPACES,
            "ip",
            "link",
            "add",
            "one",
            "type",
            "veth",
            "peer",
            "name",
            "two",
        ],
        capture_output=True,
        text=True,
    )
    return f"no wire here: {tried.stderr.strip()}" if tried.returncode else ""


class Machine:
    """One of the two.

    Attributes:
        name: `first` or `second`.
        home: the folder that its commands start in.
    """

    def __init__(self, name: str, home: Path, hidden: list[Path]) -> None:
        self.name, self.home = name, home
        script = "; ".join(
            [*_emptied(hidden), f"mkdir -p {shlex.quote(str(home))}", "exec sleep 1d"]
        )
        # A machine ends with the tests, also where those are killed.
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", *_NAMESPACES]
        command += ["--fork", "--kill-child", "--mount-proc"]
        self._process = subprocess.Popen(
            [*command, "sh", "-ec", f"echo ready; {script}"], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None and self._process.stdout.readline()

    def pid(self) -> int:
        """Its first process, as seen from here."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return int(children.split()[0])

    def run(self, script: str, *, outside: bool = False) -> str:
        """What a shell's lines print when they are typed there, in `home`, one after the other.

        Args:
            script: the lines; a failing one ends them.
            outside: whether they reach the package registries.

        Raises:
            AssertionError: a line failed; the message holds what was printed.
        """
        spaces = ["--mount", "--pid"] if outside else ["--mount", "--pid", "--net"]
        done = subprocess.run(
            ["nsenter", "--target", str(self.pid()), *spaces, f"--wdns={self.home}"]
            + ["bash", "-euo", "pipefail", "-c", script],
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, f"{self.name}: {script}\n{done.stdout}"
        return done.stdout

    def end(self) -> None:
        """Everything that runs there ends."""
        end_tree(self._process)


@contextmanager
def two_machines(checkout: Path) -> Iterator[tuple[Machine, Machine]]:
    """The first, whose home is the checkout, and the second, whose home is empty."""
    home = Path("/srv/node")
    first = Machine("first", checkout, [Path("/dev/shm")])
    second = Machine("second", home, [*_kept_things(), home.parent])
    try:
        _wire(first, second)
        yield first, second
    finally:
        first.end()
        second.end()


def _kept_things() -> list[Path]:
    """Where this machine's files lie: nothing of them is on the second."""
    places = [
        ROOT,
        Path.home(),
        Path(tempfile.gettempdir()).resolve(),
        Path("/tmp"),
        Path("/dev/shm"),
    ]
    return list(dict.fromkeys(places))


def _emptied(hidden: list[Path]) -> list[str]:
    """Shell commands that empty folders, but for the interpreter where it lies in one."""
    q = shlex.quote
    interpreter = Path(sys.base_prefix).resolve()
    keep = any(interpreter.is_relative_to(path) for path in hidden)
    lines = ["mount -t tmpfs none /mnt", "mkdir /mnt/kept"]
    lines += [f"mount --bind {q(str(interpreter))} /mnt/kept"] if keep else []
    lines += [f"mount -t tmpfs none {q(str(path))}" for path in hidden]
    if keep:
        lines += [
            f"mkdir -p {q(str(interpreter))}",
            f"mount --move /mnt/kept {q(str(interpreter))}",
        ]
    return [*lines, "umount /mnt"]


def _wire(first: Machine, second: Machine) -> None:
    pids = {machine.name: str(machine.pid()) for machine in (first, second)}
    ends = ["ip", "link", "add", "wire", "netns", pids["first"], "type", "veth"]
    subprocess.run([*ends, "peer", "name", "wire", "netns", pids["second"]], check=True)
    for name, address in ADDRESSES.items():
        for line in (
            f"ip addr add {address}/24 dev wire",
            "ip link set wire up",
            "ip link set lo up",
        ):
            subprocess.run(["nsenter", "--target", pids[name], "--net", *line.split()], check=True)


def _environment() -> dict[str, str]:
    """What a login shell has, and how packages are reached from here."""
    kept = ("PATH", "HOME", "LANG", "PIP_CERT", "PIP_FIND_LINKS", "SSL_CERT_FILE")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    usual = [part for part in found["PATH"].split(os.pathsep) if "/.venv/" not in part]
    found["PATH"] = os.pathsep.join([f"{sys.base_prefix}/bin", *usual])
    if "PIP_FIND_LINKS" in found:
        found["UV_FIND_LINKS"] = found["PIP_FIND_LINKS"]
    return found
