"""Drawing many samples in chunks, here or as tasks of the cluster, and going on where one was."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cluster import connection, errand
from pipeline.cluster.errand import Errand
from pipeline.cluster.session import Session, session
from pipeline.cluster.supply import Bundle
from pipeline.errors import UserError
from pipeline.export.forms import FORMS, Recipe, written
from pipeline.export.samples import ARRAY, BLOCK, SHARD, draw
from pipeline.storage.atomic import TEMPORARY_PREFIX, refusals_told, write_json
from pipeline.storage.store import Storage

if TYPE_CHECKING:
    from pipeline.cluster.errand import Told
    from pipeline.params.settings import RuntimeConfig

CHUNK = 10 * BLOCK  # samples of a task, of a shard, and what a kill may cost
_RECIPE = "recipe.json"


@dataclass
class Generation:
    """A set of samples that is being made.

    Attributes:
        out: the file or folder that appears when it is whole.
        recipe: what is to be drawn.
        weights: the stack's file.
        runtime: device, threads, and what a task may take of the cluster.
        storage: of checkpoints; the cluster's session wants one.
        told: hears how many samples there are.
        chunk: samples of a task and of a shard, a multiple of `samples.BLOCK`.
    """

    out: Path
    recipe: Recipe
    weights: Path
    runtime: RuntimeConfig
    storage: Storage
    told: Told
    chunk: int = CHUNK
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _counts: dict[int, int] = field(default_factory=dict)

    @property
    def begun(self) -> Path:
        """The folder beside `out` in which chunks gather until all are there."""
        return self.out.with_name(f"{self.out.name}.partial")

    def run(self, goes_on: Callable[[int], None] = lambda done: None) -> bool:
        """Make the set, or what is missing of it; False where it was whole already.

        goes_on: told how many samples an earlier process drew, where it drew some of this set.
        Raises UserError where something else is in the way, another process makes it, the disk is
        full, or as `errand.run_there`.
        """
        if self._is_there():
            self._sweep()
            return False
        with refusals_told(self.out, self.begun), self._alone():
            missing = self._missing()
            if done := self.done():
                goes_on(done)
            self._draw(missing)
            self._finish()
        return True

    def done(self) -> int:
        """Samples that an earlier process drew."""
        return sum(
            min(self.chunk, self.recipe.count - at) for at in self._starts() if self._has(at)
        )

    def _starts(self) -> range:
        return range(0, self.recipe.count, self.chunk)

    def _folder(self, start: int) -> Path:
        return self.begun / "chunks" / f"{start:08d}"

    def _has(self, start: int) -> bool:
        file = SHARD if FORMS[self.recipe.form].encoded else ARRAY
        return (self._folder(start) / file).is_file()

    def _is_there(self) -> bool:
        """Whether `out` is this very set. Raises UserError where it is anything else, or cannot be
        replaced by a whole set."""
        empty = self.out.is_dir() and not any(self.out.iterdir())
        if empty and os.path.ismount(self.out):
            raise UserError(
                f"--out {self.out}: a file system is mounted there, whose place no folder can "
                f"take; name a folder in it, such as {self.out / 'samples'}"
            )
        if empty or not self.out.exists():
            return False
        if written(self.out, self.recipe.form) == self.recipe.as_json():
            return True
        raise UserError(
            f"--out {self.out}: there is something else already; remove it or give another name"
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The folder of chunks, for this process only. Raises UserError."""
        from filelock import FileLock, Timeout

        kept = self.begun / _RECIPE
        if self.begun.exists() and not kept.is_file() and any(self.begun.iterdir()):
            raise UserError(f"{self.begun}: is not what `sgan generate` left; remove it")
        self.begun.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.begun / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(f"--out {self.out}: another process is writing it") from None
        try:
            wanted = {**self.recipe.as_json(), "chunk": self.chunk}
            found = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else wanted
            if found != wanted:
                differs = ", ".join(k for k in wanted if found.get(k) != wanted[k])
                raise UserError(
                    f"{self.begun}: holds the beginning of another set (other {differs}); finish "
                    "that one with its own options, or remove it"
                )
            write_json(kept, wanted)
            yield
        finally:
            lock.release()

    def _missing(self) -> list[int]:
        """Where the chunks begin that are still to be drawn; half-written files are swept away."""
        for left in self.begun.glob(f"chunks/*/{TEMPORARY_PREFIX}*"):
            left.unlink()
        return [start for start in self._starts() if not self._has(start)]

    def _draw(self, missing: Sequence[int]) -> None:
        if not missing:
            return
        self._counts = {-1: self.done()}
        stack = {"stack": Bundle(self.weights, self.recipe.weights_sha256)}
        if not connection.wanted():
            for start in missing:
                task, heard = self._errand(start), self._heard(start)
                errand.run_here(task, stack, self._folder(start), heard)
            return
        runtime = self.runtime
        with session(self.storage, runtime.object_limit, runtime.wait_seconds) as cluster:
            self._draw_there(missing, stack, cluster)

    def _draw_there(
        self, missing: Sequence[int], stack: dict[str, Bundle], cluster: Session
    ) -> None:
        """As many chunks at once as the cluster has room for."""
        import ray

        runtime, stop = self.runtime, threading.Event()
        cluster.supply.send(stack.values())

        def there(start: int) -> None:
            wanted = runtime.device, runtime.cpus_per_worker, runtime.gpus_per_worker
            errand.run_there(
                errand.with_need(self._errand(start), *wanted),
                stack,
                self._folder(start),
                self._heard(start),
                session=cluster,
                should_stop=stop.is_set,
                wait_seconds=runtime.wait_seconds,
            )

        # One more than run at a time, so that the next is there when a core is free.
        most = max(1, int(ray.cluster_resources().get("CPU", 1.0))) + 1
        with ThreadPoolExecutor(min(most, len(missing))) as pool:
            tasks = [pool.submit(there, start) for start in missing]
            try:
                for task in as_completed(tasks):
                    task.result()
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _errand(self, start: int) -> Errand:
        settings = {
            "device": self.runtime.device,
            "frequencies": self.recipe.frequencies,
            "seed": self.recipe.seed,
            "start": start,
            "stop": min(start + self.chunk, self.recipe.count),
            "encoded": FORMS[self.recipe.form].encoded,
        }
        return Errand(f"samples-{start}", draw, settings, self.runtime.threads_of("judge"))

    def _heard(self, start: int) -> Callable[[str, int, int], None]:
        def told(what: str, done: int, _: int) -> None:
            with self._lock:
                self._counts[start] = done
                self.told(what, sum(self._counts.values()), self.recipe.count)

        return told

    def _finish(self) -> None:
        """Put the form together beside the chunks; then it gets its name, and they go."""
        whole = self.begun / "whole"
        if whole.exists():  # of a process that was killed here
            shutil.rmtree(whole) if whole.is_dir() else whole.unlink()
        chunks = [self._folder(start) for start in self._starts()]
        FORMS[self.recipe.form].write(whole, chunks, self.recipe)
        whole.replace(self.out)
        self._clear()

    def _sweep(self) -> None:
        """Take away the chunks of a set that is whole: who made it was killed before it did so."""
        if (self.begun / _RECIPE).is_file():
            # They are of another set, are being taken away now, or may not be.
            with suppress(UserError), refusals_told(self.begun), self._alone():
                self._clear()

    def _clear(self) -> None:
        shutil.rmtree(self.begun / "chunks", ignore_errors=True)  # before what says whose they are
        shutil.rmtree(self.begun)
