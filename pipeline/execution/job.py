"""Inside a Ray job: `dvc repro` in a folder of its own, whose results outlive it.

The package's folder is shared by all jobs of the same content and belongs to Ray, so the job works
in a copy. There is no git in it: DVC runs without, and the revision comes from the environment.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.errors import UserError
from pipeline.execution.job_results import REMOTE, JobResults, remote_config
from pipeline.execution.repro import PREPARE_AGAIN, repro, stoppable
from pipeline.execution.submission import kept_in, tracked_at
from pipeline.tracking.clone import VARIABLE as CLONE_VARIABLE
from pipeline.tracking.revision import VARIABLE as REVISION_VARIABLE
from pipeline.tracking.uri import URI_VARIABLE, check_reachable, no_answer

_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"


def run(
    storage: str | None,
    arguments: Sequence[str],
    handed: str | None = None,
    name: str = "",
    *,
    new_data: bool = False,
) -> int:
    """Run `dvc repro` as a Ray job; returns its exit status, or 128 + n after signal n.

    What the stages made is in storage afterwards, also where one failed or the job was stopped.

    Args:
        storage: where things stay; None: what params.yaml or SGAN_STORAGE says.
        arguments: of `dvc repro`.
        handed: the name of the environment that was handed over, see `cluster.handover`.
        name: what the results are kept under; "": the job's submission id.
        new_data: whether `prepare` looks at the data's source again.

    Raises UserError, before anything runs, where the results would be lost.
    """
    from pipeline.params.loading import load

    submission = _submission()
    if handed:
        from pipeline.cluster.handover import take

        os.environ.update(json.loads(take(handed)))
    root = Path.cwd()
    kept = kept_in(load(root / paths.PARAMS, root), storage)
    os.environ[paths.STORAGE_VARIABLE] = kept
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
    _reach_mlflow()
    results.note(record | {"status": "RUNNING"})
    with stoppable() as stop, _workspace(root, kept) as folder:
        status = 1
        before = results.restore(folder)
        if before:
            print(f"what {before} made is reused where nothing differs", flush=True)
        try:
            site = {"DVC_SITE_CACHE_DIR": str(folder.parent / "dvc-site")}
            status = repro(folder, PREPARE_AGAIN, stop, site) if new_data else 0
            status = status or repro(folder, ["--pull", *arguments], stop, site)
        finally:
            results.push(folder)
            ended = "STOPPED" if stop else "FAILED" if status else "SUCCEEDED"
            results.note(record | {"status": ended, "exit_status": status, "ended": _now()})
            print(f"kept in {kept}: outputs, run-cache and jobs/{results.name}", flush=True)
    return status


def _reach_mlflow() -> None:
    """Raises UserError, which names the address, where the server does not answer."""
    uri = os.environ[URI_VARIABLE]
    try:
        check_reachable(uri)
    except ConnectionError as error:
        raise UserError(f"{no_answer(uri)} ({error}) Submit again when it does") from None


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
    if any((folder / paths.UNSENT).glob("*.json")):
        print(
            "MLflow was away, and has not got all: the job's folder is kept on the head, "
            f"{folder}. `sgan compare A B` there, of any two executions, sends it",
            file=sys.stderr,
        )
        return
    shutil.rmtree(above, ignore_errors=True)


def _configure_dvc(folder: Path, kept: str) -> None:
    remote = "".join(f"    {key} = {value}\n" for key, value in remote_config(kept).items())
    local = f"[core]\n    no_scm = true\n    remote = {REMOTE}\n['remote \"{REMOTE}\"']\n{remote}"
    (folder / ".dvc").mkdir(exist_ok=True)
    (folder / ".dvc" / "config.local").write_text(local)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
