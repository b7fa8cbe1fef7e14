"""What breaks. Each fault acts once and says what it did; what it broke is mended by the world."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

import pipeline.cluster.notice
from tests.chaos.world import TRAINED, Round, World, parts_of
from tests.cluster_rig import Node

# What a fault did; "" where its target is not there (yet).
Act = Callable[[World, Round, random.Random], str]


@dataclass(frozen=True)
class Fault:
    """
    Attributes:
        name: as in the report.
        act: does it.
        seconds: how long it lasts before the world is mended.
        storage: the kind of round that it needs; "" for any.
        stops: whether what trains has to save and be gone within `--gone` seconds: "stage" for
            all of it and the stage, "node" for what trains on one node; "" for no.
        after: repairs what the world does not know of.
    """

    name: str
    act: Act
    seconds: tuple[float, float] = (0.0, 0.0)
    storage: str = ""
    stops: str = ""
    after: Callable[[Round], None] | None = None


def _kill(processes: list[psutil.Process], rng: random.Random) -> str:
    """SIGKILL to one of them."""
    if not processes:
        return ""
    process = rng.choice(sorted(processes, key=lambda p: p.pid))
    try:
        what = (process.cmdline() or [process.name()])[0].split()[0]
        process.kill()
    except psutil.Error:
        return ""
    return f"{Path(what).name if not what.startswith('ray::') else what} (pid {process.pid})"


def worker(world: World, round_: Round, rng: random.Random) -> str:
    """The process that trains a part."""
    return _kill(world.training(), rng)


def _busy(world: World) -> list[Node]:
    """Nodes apart on which something trains; all that are apart where nothing does."""
    apart = [node for node in world.cluster.nodes if node.apart]
    return [node for node in apart if world.training([node])] or apart


def raylet(world: World, round_: Round, rng: random.Random) -> str:
    """The raylet of a node that trains."""
    node = rng.choice(_busy(world))
    return f"{node.name}: " + _kill(node.named("raylet"), rng)


def node(world: World, round_: Round, rng: random.Random) -> str:
    """A whole machine."""
    gone = rng.choice(_busy(world))
    gone.kill()
    return gone.name


def head(world: World, round_: Round, rng: random.Random) -> str:
    """The head, with the cluster's state."""
    world.cluster.nodes[0].kill()
    return "every process of the head"


def gcs(world: World, round_: Round, rng: random.Random) -> str:
    """The head's state server alone."""
    return _kill(world.cluster.nodes[0].named("gcs_server"), rng)


def driver(world: World, round_: Round, rng: random.Random) -> str:
    """The stage."""
    stages = round_.stage_processes()
    done = _kill(stages, rng)
    return done and f"{' '.join(round_.stages()[-1:])}, {done}"


def dvc(world: World, round_: Round, rng: random.Random) -> str:
    """`dvc repro`."""
    assert round_.repro is not None
    if not round_.stage_processes():
        return ""
    round_.repro.kill()
    return f"pid {round_.repro.pid}"


def hub(world: World, round_: Round, rng: random.Random) -> str:
    """The actor that gathers reports."""
    return _kill(world.cluster.nodes[0].named("ray::MetricHub"), rng)


def keeper(world: World, round_: Round, rng: random.Random) -> str:
    """The actor by which workers reach the driver's disk."""
    return _kill(world.cluster.nodes[0].named("ray::Keeper"), rng)


def mlflow(world: World, round_: Round, rng: random.Random) -> str:
    """The tracking server."""
    world.mlflow.kill()
    return f"port {world.mlflow.port}"


def _s3(kind: str, **fields: object) -> Act:
    def act(world: World, round_: Round, rng: random.Random) -> str:
        assert world.proxy is not None
        if kind == "down":
            world.proxy.down()
            return "connections refused"
        world.proxy.inject(kind, **fields)  # type: ignore[arg-type]
        return ", ".join(f"{name} {value}" for name, value in fields.items()) or "every answer"

    return act


def cut_upload(world: World, round_: Round, rng: random.Random) -> str:
    """A checkpoint on its way to S3 is cut, and who sends it dies."""
    assert world.proxy is not None
    before = world.proxy.hits
    world.proxy.inject("cut request", only=r"PUT .*step-", times=1, after=rng.randint(1, 100_000))
    deadline = time.monotonic() + 20
    while world.proxy.hits == before:
        if time.monotonic() > deadline or round_.ended() is not None:
            return ""
        time.sleep(0.005)
    return "the upload, " + _kill(world.training(), rng)


def cut_write(world: World, round_: Round, rng: random.Random) -> str:
    """A checkpoint half-way on the driver's disk: who writes it dies, or who sends it."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and round_.ended() is None:
        found = [*(round_.root / ".runs").glob("*/*/.tmp-*")]
        found += (round_.root / ".runs").glob(".tmp-*")
        if found:
            keepers = world.cluster.nodes[0].named("ray::Keeper")
            return f"{found[0].name[:12]}…, " + _kill(keepers or world.training(), rng)
        time.sleep(0.001)
    return ""


def _full(disk: str) -> Act:
    def act(world: World, round_: Round, rng: random.Random) -> str:
        path = round_.small[disk]
        return _resize(path, _used_kb(path) + 64)

    return act


def full_worker(world: World, round_: Round, rng: random.Random) -> str:
    """The temporary folder of a node that trains."""
    node_ = rng.choice(_busy(world))
    used = _used_kb(node_.path("/tmp"))
    done = node_.run("mount", "-o", f"remount,size={used + 64}k", "/tmp")
    return f"/tmp of {node_.name}" if done.returncode == 0 else ""


def roomy_workers(world: World) -> None:
    """The inverse of `full_worker`."""
    for node_ in world.cluster.nodes:
        if node_.apart and node_.processes():
            node_.run("mount", "-o", "remount,size=50%", "/tmp")


def roomy(round_: Round) -> None:
    """The inverse of a full disk."""
    for path in round_.small.values():
        _resize(path, 600_000)


def _resize(path: Path, size_kb: int) -> str:
    done = subprocess.run(["mount", "-o", f"remount,size={size_kb}k", str(path)])
    return str(path.name) if done.returncode == 0 else ""


def _used_kb(path: Path) -> int:
    space = os.statvfs(path)
    return (space.f_blocks - space.f_bfree) * space.f_frsize // 1024


def terminate(world: World, round_: Round, rng: random.Random) -> str:
    """SIGTERM to `dvc` and the stage, as from a machine that shuts down."""
    return _signal_group(world, round_, signal.SIGTERM)


def interrupt(world: World, round_: Round, rng: random.Random) -> str:
    """Ctrl-C in the terminal."""
    return _signal_group(world, round_, signal.SIGINT)


def _signal_group(world: World, round_: Round, number: int) -> str:
    if not world.training() or round_.repro is None or round_.repro.poll() is not None:
        return ""
    world.told = [*world.training(), *round_.stage_processes()]
    os.killpg(round_.repro.pid, number)
    return f"group {round_.repro.pid}"


def notice(world: World, round_: Round, rng: random.Random) -> str:
    """A node that trains ends in order, as a spot machine does: what trains is told by the program
    that Kubernetes and aws.yaml run for it, and then every process of the node gets SIGTERM."""
    nodes = [node_ for node_ in _busy(world) if world.training([node_])]
    if not nodes:
        return ""
    node_ = rng.choice(nodes)
    world.told = node_.named(*TRAINED)
    names = sorted(parts_of(world.told))
    done = node_.run(sys.executable, "-c", Path(pipeline.cluster.notice.__file__).read_text())
    if done.returncode:
        return f"{node_.name}: {done.stderr.strip()}"
    for process in reversed(node_.processes()):
        try:
            process.terminate()
        except psutil.Error:
            continue
    return f"{node_.name} with {', '.join(names)}"


FAULTS = (
    Fault("worker", worker),
    Fault("raylet", raylet),
    Fault("node", node),
    Fault("head", head),
    Fault("gcs", gcs),
    Fault("driver", driver),
    Fault("dvc", dvc),
    Fault("hub", hub),
    Fault("keeper of the driver's disk", keeper, storage="disk"),
    Fault("mlflow down", mlflow, (2.0, 8.0)),
    Fault("s3 down", _s3("down"), (2.0, 8.0), "s3"),
    Fault("s3 errors", _s3("error", status=500), (2.0, 8.0), "s3"),
    Fault("s3 slow", _s3("slow", seconds=1.5), (4.0, 8.0), "s3"),
    Fault("s3 answers cut", _s3("cut answer", only="GET", after=1000), (2.0, 8.0), "s3"),
    Fault("s3 wrong bytes", _s3("wrong bytes", only="GET .*/(step-|weights)"), (4.0, 8.0), "s3"),
    Fault("s3 upload cut", cut_upload, storage="s3"),
    Fault("write cut", cut_write, storage="disk"),
    Fault("full storage", _full("storage"), (3.0, 6.0), "disk", after=roomy),
    Fault("full TMPDIR", _full("TMPDIR"), (3.0, 6.0), after=roomy),
    Fault("full TMPDIR of a worker", full_worker, (3.0, 6.0)),
    Fault("full artifacts", _full("artifacts"), (3.0, 6.0), after=roomy),
    Fault("SIGTERM", terminate, stops="stage"),
    Fault("Ctrl-C", interrupt, stops="stage"),
    Fault("notice to a node", notice, stops="node"),
)
