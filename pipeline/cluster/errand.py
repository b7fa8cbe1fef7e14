"""A stage's heavy work as one task of the cluster: what it reads goes there by content, the files
that it writes and its progress come back as they are."""

import hashlib
import queue
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.cluster.connection import Head
from pipeline.cluster.room import Need, has_room, wait_for
from pipeline.cluster.session import Session
from pipeline.cluster.supply import Bundle, Sent, copied, opened
from pipeline.cluster.travel import Luggage, packed
from pipeline.data import opening
from pipeline.errors import UserError, weights_told
from pipeline.memory import keep_freed
from pipeline.storage import s3
from pipeline.storage.atomic import TEMPORARY_PREFIX, refusals_told
from pipeline.threads import on_threads

# told(what, done, in all), as `pipeline.scores.inputs.Told`.
Told = Callable[[str, int, int], None]
# work(inputs, out, told, **settings): reads `inputs` (paths or addresses by name), writes plain
# files into the folder `out`, returns what can be pickled. A function of a module.
Work = Callable[..., Any]

_CHUNK = 16 << 20
_RESTARTS = 3
_POLL_S = 0.5
_TOLD_EVERY_S = 0.2


class Stopped(Exception):
    """The stage was asked to stop; the task is gone."""


@dataclass(frozen=True)
class Errand:
    """What is to be done, and on how much of a node.

    Attributes:
        name: for Ray and for messages.
        work: see `Work`.
        settings: its further arguments.
        threads: of the numerics, on a CPU.
        need: cores and GPUs that Ray sets aside.
    """

    name: str
    work: Work
    settings: Mapping[str, Any]
    threads: int
    need: Mapping[str, float] = field(default_factory=dict)


def with_need(errand: Errand, device: str, cpus: float | None, gpus: float | None) -> Errand:
    """The errand with its share of a node of the connected cluster: a core for each thread, as far
    as one node has them, and a GPU where there is one.

    Args:
        device, cpus, gpus: of `runtime`; None for the defaults just said.
    """
    import ray

    has_gpu = device != "cpu" and ray.cluster_resources().get("GPU", 0.0) > 0
    need = {"CPU": cpus or float(errand.threads), "GPU": (1.0 if gpus is None else gpus) * has_gpu}
    while cpus is None and need["CPU"] > 1 and not has_room(Need(errand.name, need)):
        need["CPU"] -= 1
    return replace(errand, need=need)


def run_here(errand: Errand, inputs: Mapping[str, Bundle], out: Path, told: Told) -> Any:
    """Do it in this process; returns what the work does."""
    keep_freed()
    with on_threads(errand.threads):
        return errand.work(_paths(inputs), out, told, **errand.settings)


def run_there(
    errand: Errand,
    inputs: Mapping[str, Bundle],
    out: Path,
    told: Told,
    *,
    session: Session,
    should_stop: Callable[[], bool],
    wait_seconds: float,
) -> Any:
    """Do it as a task of the cluster, again where its node is lost; returns what the work does.

    Raises:
        UserError: the work's own; inputs that cannot travel; no node with such room.
        Stopped: `should_stop` said so.
    """
    import ray

    session.supply.send(inputs.values())
    wait_for([Need(errand.name, errand.need)], wait_seconds, print, should_stop)
    for attempt in range(1, _RESTARTS + 2):
        # Not Ray's own retries: they would leave out as many answers as had come the first time.
        answers = performed(errand, inputs, session, retries=0)
        try:
            return _received(answers, out, told, should_stop)
        except ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, UserError) else error from None
        except ray.exceptions.RayError as error:
            if attempt > _RESTARTS:
                raise UserError(
                    f"{errand.name}: its worker was lost {attempt} times "
                    f"({type(error).__name__}). Look for a machine that runs out of memory, and "
                    "run again"
                ) from error
        except BaseException:
            ray.cancel(answers, force=True)
            raise


def performed(
    errand: Errand, inputs: Mapping[str, Bundle], session: Session | None, *, retries: int
) -> Any:
    """Give an errand to Ray; returns what yields references to its answers, tuples of which the
    first says what they are: "told", "bytes", "file", and last the "result".

    Args:
        session: the cluster, to which the inputs are sent where they are not there yet; None for a
            local Ray, whose workers have the driver's files.
        retries: how often Ray begins it again where its worker is lost.

    Raises:
        UserError: inputs that cannot travel.
    """
    import ray

    where, objects = _paths(inputs), {}
    if session is not None:
        session.supply.send(inputs.values())
        where = {name: session.supply.address(bundle) for name, bundle in inputs.items()}
        objects = session.supply.objects(inputs.values())
    files = [name for name, bundle in inputs.items() if not bundle.names]
    task: Any = ray.remote(_perform).options(
        name=errand.name,
        num_cpus=errand.need.get("CPU", 1),
        num_gpus=errand.need.get("GPU", 0),
        num_returns="streaming",
        max_retries=retries,
    )
    kept = session.storage if session is not None else ""
    return task.remote(errand, where, files, objects, packed(kept, *where.values()))


def _paths(inputs: Mapping[str, Bundle]) -> dict[str, str]:
    return {name: str(bundle.path) for name, bundle in inputs.items()}


def _received(answers: Any, out: Path, told: Told, should_stop: Callable[[], bool]) -> Any:
    """Handle a task's answers until the last one, which is the work's own."""
    import ray

    arriving, head = _Arriving(out), Head()
    try:
        while True:
            if should_stop():
                raise Stopped
            head.check()
            ready, _ = ray.wait([answers], timeout=_POLL_S)
            if not ready:
                continue
            kind, *rest = ray.get(next(answers))
            if kind == "told":
                told(*rest)
            elif kind == "bytes":
                arriving.take(*rest)
            elif kind == "file":
                arriving.end(*rest)
            else:
                return rest[0]
    finally:
        arriving.close()


class _Arriving:
    """Files that come in pieces, one after the other; each appears when it is whole."""

    def __init__(self, out: Path) -> None:
        self._out, self._open = out, out / f"{TEMPORARY_PREFIX}arriving"
        self._hash = hashlib.sha256()
        out.mkdir(parents=True, exist_ok=True)
        self._open.unlink(missing_ok=True)

    def take(self, content: bytes) -> None:
        """The next piece. Raises UserError where the disk is full or may not be written."""
        self._hash.update(content)
        with refusals_told(self._out, self._open), self._open.open("ab") as file:
            file.write(content)

    def end(self, name: str, sha256: str) -> None:
        """All pieces of the file `name` have come. Raises UserError as `take`, and where they are
        others."""
        found, self._hash = self._hash.hexdigest(), hashlib.sha256()
        if found != sha256 or Path(name).name != name:
            raise UserError(f"{name}: the bytes that came back are not those that were written")
        with refusals_told(self._out / name, self._open):
            self._open.touch()
            self._open.replace(self._out / name)

    def close(self) -> None:
        """Leave nothing half-way."""
        self._open.unlink(missing_ok=True)


def _perform(
    errand: Errand,
    inputs: Mapping[str, str],
    files: list[str],
    objects: Mapping[str, Sent],
    luggage: Luggage,
) -> Iterator[tuple[Any, ...]]:
    """In the worker: the work in a thread, since what is told of it must not wait for its end."""
    luggage.unpack()
    opening.register("s3", s3.open_stream)
    with tempfile.TemporaryDirectory(prefix="sgan-") as folder:
        out, said = Path(folder) / "out", _Said()
        out.mkdir()

        def work() -> None:
            import torch

            try:
                keep_freed()
                torch.set_num_threads(errand.threads)
                with opened(objects), weights_told():
                    where = dict(inputs)
                    for name in files:
                        if "://" in where[name]:
                            where[name] = str(copied(where[name], Path(folder)))
                    result = errand.work(where, out, said.told, **errand.settings)
                said.queue.put(("result", result))
            except BaseException as error:
                said.queue.put(("failed", error))

        threading.Thread(target=work, name=errand.name, daemon=True).start()
        while (message := said.queue.get())[0] == "told":
            yield message
        if message[0] == "failed":
            raise message[1]
        yield from _files(out)
        yield message


class _Said:
    """What the work says, at most every fifth of a second, but every step's first and last."""

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._what, self._at = "", 0.0

    def told(self, what: str, done: int, total: int) -> None:
        """A `Told`."""
        import time

        now = time.monotonic()
        if what == self._what and done < total and now - self._at < _TOLD_EVERY_S:
            return
        self._what, self._at = what, now
        self.queue.put(("told", what, done, total))


def _files(folder: Path) -> Iterator[tuple[Any, ...]]:
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            while content := file.read(_CHUNK):
                yield "bytes", content
            file.seek(0)
            yield "file", path.name, hashlib.file_digest(file, "sha256").hexdigest()
