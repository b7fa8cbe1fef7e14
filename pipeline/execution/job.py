"""Inside a Ray job: `dvc repro` in a folder of its own, whose results outlive it.

The package's folder is shared by all jobs of the same content and belongs to Ray, so the job works
in a copy. There is no git in it: DVC runs without, and the revision comes from the environment.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from pipeline import paths
from pipeline.errors import UserError
from pipeline.execution.job_results import REMOTE, JobResults, remote_config
from pipeline.execution.submission import kept_in, tracked_at
from pipeline.processes import is_alive
from pipeline.tracking.clone import VARIABLE as CLONE_VARIABLE
from pipeline.tracking.lineage import REVISION_VARIABLE
from pipeline.tracking.uri import URI_VARIABLE, check_reachable

_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
_ENGINES = Path("infra/engines.env")

_POLL_S = 0.2
# A stop reaches every process of the job when it comes from Ray; who sends it to this one alone
# has it passed on after so long.
_PASS_ON_S = 2.0
_STOPPING_S = 35.0

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def run(
    storage: str | None, arguments: Sequence[str], handed: str | None = None, name: str = ""
) -> int:
    """Run `dvc repro` as a Ray job; returns its exit status, or 128 + n after signal n.

    What the stages made is in storage afterwards, also where one failed or the job was stopped.

    Args:
        storage: where things stay; None: what params.yaml or SGAN_STORAGE says.
        arguments: of `dvc repro`.
        handed: the name of the environment that was handed over, see `cluster.handover`.
        name: what the results are kept under; "": the job's submission id.

    Raises UserError, before anything runs, where the results would be lost.
    """
    from pipeline.params.loading import load

    submission = _submission()
    if handed:
        from pipeline.cluster.handover import take

        os.environ.update(json.loads(take(handed)))
    root = Path.cwd()
    kept = kept_in(load(root / paths.PARAMS, root), storage)
    os.environ["SGAN_STORAGE"] = kept
    os.environ[URI_VARIABLE] = tracked_at(kept)
    results = JobResults(kept, name or submission)
    # Each attempt has a folder of its own, and goes on in the runs of the one before.
    os.environ.setdefault(CLONE_VARIABLE, results.name)
    record: dict[str, Any] = {
        "submission": submission,
        "arguments": list(arguments),
        "revision": os.environ.get(REVISION_VARIABLE),
        "began": _now(),
    }
    if not kept.startswith("s3://"):
        Path(kept).mkdir(parents=True, exist_ok=True)
    results.note(record | {"status": "RUNNING"})
    check_reachable(os.environ[URI_VARIABLE])
    with _stoppable() as stop, _workspace(root, kept) as folder:
        status = 1
        before = results.restore(folder)
        if before:
            print(f"what {before} made is reused where nothing differs", flush=True)
        try:
            status = _repro(folder, arguments, stop)
        finally:
            results.push(folder)
            ended = "STOPPED" if stop else "FAILED" if status else "SUCCEEDED"
            results.note(record | {"status": ended, "exit_status": status, "ended": _now()})
            print(f"kept in {kept}: outputs, run-cache and jobs/{results.name}", flush=True)
    return status


def _submission() -> str:
    """The submission id of this job. Raises UserError outside a job."""
    metadata = json.loads(os.environ.get(_JOB_CONFIG, "{}")).get("metadata", {})
    if "job_submission_id" not in metadata or "RAY_ADDRESS" not in os.environ:
        raise UserError(
            "`sgan job` is what runs inside a Ray job: use `sgan submit`, or "
            "`ray job submit --working-dir . -- python -m pipeline job --storage …`"
        )
    # The stages connect by themselves and say what travels to workers: the package does not.
    os.environ[_JOB_CONFIG] = json.dumps({"runtime_env": {}, "metadata": metadata})
    return str(metadata["job_submission_id"])


@contextmanager
def _workspace(package: Path, kept: str) -> Iterator[Path]:
    """A copy of the package in which DVC runs without git; deleted when its results are kept."""
    above = Path(tempfile.mkdtemp(prefix="sgan-job-"))
    folder = above / "sgan"
    shutil.copytree(package, folder, ignore=shutil.ignore_patterns("__pycache__"))
    _configure_dvc(folder, kept)
    try:
        yield folder
    except BaseException:
        print(f"the job's folder is kept on the head: {folder}", file=sys.stderr)
        raise
    shutil.rmtree(above, ignore_errors=True)


def _configure_dvc(folder: Path, kept: str) -> None:
    remote = "".join(f"    {key} = {value}\n" for key, value in remote_config(kept).items())
    local = f"[core]\n    no_scm = true\n    remote = {REMOTE}\n['remote \"{REMOTE}\"']\n{remote}"
    (folder / ".dvc").mkdir(exist_ok=True)
    (folder / ".dvc" / "config.local").write_text(local)


def _repro(folder: Path, arguments: Sequence[str], stop: list[int]) -> int:
    """`dvc repro` until it and all that it started have ended; returns its exit status."""
    command = [sys.executable, "-m", "dvc", "repro", "--pull", *arguments]
    environment = _environment(folder)
    child = subprocess.Popen(command, cwd=folder, env=environment, preexec_fn=_end_with_parent)
    asked = 0.0
    while child.poll() is None or (stop and _descendants()):
        time.sleep(_POLL_S)
        if not stop:
            continue
        asked = asked or time.monotonic()
        waited = time.monotonic() - asked
        if waited > _PASS_ON_S and child.poll() is None:
            child.send_signal(stop[0])
        if waited > _STOPPING_S:
            for process in _descendants():
                process.kill()
    _bury_orphans()
    return 128 + stop[0] if stop else child.returncode


def _environment(folder: Path) -> dict[str, str]:
    """The stages': this Python is their `python`, and the engines are as everywhere."""
    environment = dict(os.environ)
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    environment["DVC_SITE_CACHE_DIR"] = str(folder.parent / "dvc-site")
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # without, each process pays 15 s of imports
    environment.pop("DVC_ROOT", None)
    if (folder / _ENGINES).is_file():
        for line in (folder / _ENGINES).read_text().splitlines():
            name, _, value = line.partition("=")
            if value and not name.startswith("#"):
                environment.setdefault(name, value)
    return environment


@contextmanager
def _stoppable() -> Iterator[list[int]]:
    """Inside, a signal to end is noted in the list, and orphans of the stages stay below this
    process, so that it can wait for their last checkpoint."""
    asked: list[int] = []

    def note(number: int, _: Any) -> None:
        asked.append(number)

    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _descendants() -> list[psutil.Process]:
    """The living processes below this one."""
    found = psutil.Process().children(recursive=True)
    return [process for process in found if is_alive(process)]


def _bury_orphans() -> None:
    """Collect the ended orphans that this process has inherited: where Ray is a container's first
    process, nobody else would, and Ray would wait for them as if they lived."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _end_with_parent() -> None:
    """In a child that is about to begin: SIGTERM when this process is killed (on Linux)."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
