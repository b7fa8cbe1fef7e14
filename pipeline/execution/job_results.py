"""What a job leaves behind: DVC's outputs and run-cache, dvc.lock, metrics and plots, in storage.

<storage>/dvc/                    a DVC remote, which all jobs share: outputs by content
<storage>/jobs/<name>/files/      dvc.lock, metrics/, plots/
<storage>/jobs/<name>/job.json    how the job stands; at its end written last
"""

from collections.abc import Iterable, Mapping, Set
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import paths
from pipeline.errors import UserError
from pipeline.execution import dvc_remote
from pipeline.storage.atomic import write_bytes
from pipeline.storage.s3_client import endpoint
from pipeline.storage.store import Storage

if TYPE_CHECKING:
    from dvc.repo import Repo

REMOTE = "sgan-jobs"

_LOCK = "dvc.lock"
_LATEST = "jobs/latest.json"
_KEPT_FOLDERS = (paths.METRICS, paths.PLOTS)


def remote_config(storage: str) -> dict[str, str]:
    """DVC's settings of the remote below `storage`."""
    if not storage.startswith("s3://"):
        return {"url": f"{storage}/dvc"}
    server = endpoint()
    return {"url": f"{storage}/dvc"} | ({"endpointurl": server} if server else {})


class JobResults:
    """The results of the job `name` below the storage `uri`."""

    def __init__(self, uri: str, name: str) -> None:
        self.storage, self.name = Storage(uri), name
        self.folder = f"jobs/{name}"

    def note(self, record: Mapping[str, Any]) -> None:
        """Write how the job stands. Raises UserError where storage cannot be written."""
        try:
            self.storage.write_json(f"{self.folder}/job.json", dict(record))
        except OSError as error:
            raise UserError(
                f"storage {self.storage.uri} cannot be written ({error.strerror}): what the job "
                "makes would be lost with it. Name another by --storage"
            ) from None

    def record(self) -> dict[str, Any] | None:
        """How the job stood when it last said so; None where nothing is known of it."""
        try:
            return self.storage.read_json(f"{self.folder}/job.json")
        except FileNotFoundError:
            return None

    def restore(self, root: Path) -> str | None:
        """Put what an earlier job knew into the workspace `root`, so that DVC runs only what
        differs: this job's last attempt, else the job that ended last. Returns its name."""
        chosen = self.name if self._files(self.name) else None
        if chosen is None:
            try:
                chosen = str(self.storage.read_json(_LATEST)["name"])
            except FileNotFoundError:
                return None
        self._get(chosen, self._files(chosen), root)
        return chosen

    def push(self, root: Path) -> None:
        """Keep what the stages that ended have made in the workspace `root`. Raises UserError."""
        if not (root / _LOCK).is_file():
            return
        with self._dvc(root) as repo:
            dvc_remote.push(repo, REMOTE)
        for path in _kept_files(root):
            self.storage.put_file(root / path, f"{self.folder}/files/{path.as_posix()}")
        self.storage.write_json(_LATEST, {"name": self.name})

    def fetch(self, root: Path) -> list[str]:
        """Bring the results into the checkout `root`; returns the names of the stages.

        Afterwards `dvc repro` there runs only what differs from what the job was given.

        Raises UserError: the job left nothing, or its outputs cannot be had; then the checkout's
        dvc.lock is as it was.
        """
        kept = self._files(self.name)
        if _LOCK not in kept:
            raise UserError(f"{self.name} has left nothing in {self.storage.uri}: no stage ended")
        lock = root / _LOCK
        before = lock.read_bytes() if lock.is_file() else None
        self._get(self.name, [_LOCK], root)
        try:
            with self._dvc(root) as repo:
                dvc_remote.pull(repo, REMOTE)
                stages = [stage.name for stage in repo.index.stages if stage.outs and _made(stage)]
                left = [Path(out.fs_path) for out in repo.index.outs if not out.use_cache]
        except BaseException:
            if before is None:
                lock.unlink(missing_ok=True)
            else:
                write_bytes(lock, before)
            raise
        self._get(self.name, kept, root)
        _drop_others(left, {root / name for name in kept})
        return stages

    def _files(self, job: str) -> list[str]:
        """What a job left beside DVC's outputs; nothing but what the pipeline writes there."""
        prefix = f"jobs/{job}/files/"
        found = [key.removeprefix(prefix) for key in self.storage.list(prefix.rstrip("/"))]
        return [name for name in found if name == _LOCK or _is_output(name)]

    def _get(self, job: str, files: list[str], root: Path) -> None:
        for name in files:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            self.storage.get_file(f"jobs/{job}/files/{name}", root / name)

    def _dvc(self, root: Path) -> AbstractContextManager["Repo"]:
        config = {"remote": {REMOTE: remote_config(self.storage.uri)}}
        return dvc_remote.opened(root, f"{self.storage.uri}/dvc", config)


def names(uri: str) -> list[str]:
    """The jobs that have left something below the storage `uri`."""
    ends = "/job.json"
    found = Storage(uri).list("jobs")
    return [key[len("jobs/") : -len(ends)] for key in found if key.endswith(ends)]


def _kept_files(root: Path) -> list[Path]:
    found = [Path(_LOCK)]
    for folder in _KEPT_FOLDERS:
        found += sorted(p.relative_to(root) for p in (root / folder).rglob("*") if p.is_file())
    return found


def _drop_others(outs: Iterable[Path], kept: Set[Path]) -> None:
    """What lies in folders that are outputs, and was not among the job's: an earlier stack's third
    level. A folder with it is another than dvc.lock says."""
    for file in (file for out in outs for file in out.rglob("*")):
        if file.is_file() and file not in kept:
            file.unlink()


def _is_output(name: str) -> bool:
    return Path(name).parts[0] in {str(folder) for folder in _KEPT_FOLDERS}


def _made(stage: Any) -> bool:
    return all(out.hash_info for out in stage.outs)
