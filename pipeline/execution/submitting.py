"""`sgan submit` from the person's side: submit or attach, follow, stop or detach, fetch."""

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pipeline import paths
from pipeline.cluster.job_server import JobLost, JobServer
from pipeline.errors import UserError
from pipeline.execution import package
from pipeline.execution.job_results import JobResults, names
from pipeline.execution.submission import Submission, kept_in, name_of, prepare

_ADDRESS_VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
# A job that is stopped has 3 s if nothing is said; the stages save, and what is done is pushed.
# Ray 2.60 does not see that it has ended before, and always calls it running for so long.
_VARIABLES = {"RAY_JOB_STOP_WAIT_TIME_S": "60"}
_STARTS_AGAIN = 3
_SHOWN_NAMES = 5


def address_of(option: str | None) -> str:
    """The job server's address: `--address`, RAY_API_SERVER_ADDRESS, or RAY_ADDRESS.

    Raises UserError where there is none, or it is no job server's.
    """
    given = {"--address": option} | {name: os.environ.get(name) for name in _ADDRESS_VARIABLES}
    for source, address in given.items():
        if not address:
            continue
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(
                f"{source} {address}: jobs go to the job server of the cluster's head, an address "
                "like http://host:8265"
            )
        return address.rstrip("/")
    raise UserError(
        "which cluster? Give --address http://host:8265 (the dashboard of its head), or set "
        f"{_ADDRESS_VARIABLES[0]}"
    )


def submit(
    root: Path,
    *,
    address: str,
    storage: str | None,
    arguments: Sequence[str],
    data: str = "",
    python: str = "python",
    wait: bool = True,
    new_data: bool = False,
) -> int:
    """Submit the checkout, or attach to the running job of the same content; returns the exit
    status: the job's, or 0 where it was left running.

    A job that the cluster lost (its head was started again) is submitted again, three times at
    most. Raises UserError for what cannot work.
    """
    ready = prepare(root, address, storage, arguments, data, new_data)
    server = JobServer(address)
    newest = server.newest(ready.name)
    if newest and not newest.status.is_terminal():
        job = str(newest.submission_id)
        print(f"{job} is there already, {newest.status.lower()}: the same content; attached")
    else:
        job = _start(server, ready, python)
    _tell(job, ready)
    if not wait:
        return 0
    for attempt in range(_STARTS_AGAIN + 1):
        try:
            return _follow(server, job)
        except JobLost as lost:
            why = f"{job} was lost: {lost}"
        if attempt < _STARTS_AGAIN:
            print(f"{why}; submitted again", flush=True)
            job = _start(server, ready, python)
    print(
        f"error: {why}. That is the attempt number {_STARTS_AGAIN + 1}; what ended is kept, and "
        "the same command goes on",
        file=sys.stderr,
    )
    return 1


def fetch(
    root: Path,
    name: str,
    storage: str | None,
    arguments: Sequence[str],
    data: str = "",
    new_data: bool = False,
) -> None:
    """Bring the results of a job into the checkout. Raises UserError where there are none.

    Args:
        root: the checkout.
        name: the job's name; "": the job that submitting this checkout would start.
        storage: `--storage`.
        arguments: of `dvc repro`, which are part of the name.
        data, new_data: as in `submission.prepare`.
    """
    from pipeline.params.loading import load

    kept = kept_in(load(root / paths.PARAMS), storage)
    chosen = name or name_of(root, storage, arguments, data, new_data)
    if not kept.startswith("s3://") and not Path(kept).is_dir():
        raise UserError(
            f"{kept} is a folder of the cluster's head and not of this machine: copy its folders "
            f"dvc and jobs (`rsync -a HEAD:{kept}/dvc HEAD:{kept}/jobs COPY/`), then "
            f"`sgan submit --fetch {chosen} --storage COPY`"
        )
    results = JobResults(kept, chosen)
    record = results.record()
    if record is None:
        known = names(kept)
        there = f"there are {', '.join(known[-_SHOWN_NAMES:])}" if known else "there is none at all"
        raise UserError(f"no job {chosen} has left anything in {kept}; {there}")
    if record["status"] == "RUNNING":
        print(f"{chosen} has not ended; this is what an earlier attempt left, if there was one")
    stages = results.fetch(root)
    print(f"{chosen} ({record['status'].lower()}): fetched {', '.join(stages)}")
    print("Next: `dvc repro` runs what is missing or differs, and nothing else.")


def _start(server: JobServer, ready: Submission, python: str) -> str:
    from pipeline.cluster.handover import give

    handed = give(server.client, json.dumps(ready.environment).encode())
    command = [python, "-m", "pipeline", "job", "--storage", ready.storage, "--name", ready.name]
    command += ["--handed", handed, *(["--new-data"] if ready.new_data else [])]
    command += ["--", *ready.arguments]
    metadata = {"job_name": ready.name, "storage": ready.storage, "revision": ready.revision}
    with tempfile.TemporaryDirectory(prefix="sgan-submit-") as folder:
        archive = Path(folder) / f"{ready.name}.zip"
        package.write(ready.contents, archive)
        job = server.submit(ready.name, shlex.join(command), archive, _VARIABLES, metadata)
        size = archive.stat().st_size / 2**20
    print(f"{job}: {len(ready.contents)} files, {size:.1f} MB, sent to {server.address}")
    return job


def _tell(job: str, ready: Submission) -> None:
    print(f"What it makes stays in {ready.storage}; `sgan submit --fetch {ready.name}` brings it")
    print(f"here. Its log, from now on {job}'s own words:", flush=True)


def _follow(server: JobServer, job: str) -> int:
    """The job's log and exit status; Ctrl-C asks whether to stop it."""
    while True:
        try:
            ended = server.follow(job, _write)
            break
        except KeyboardInterrupt:
            if not _asked_to_stop(job):
                print(f"\n{job} goes on; submit the same again to attach to it", flush=True)
                return 0
            print(f"Stopping {job}: its checkpoints and finished stages are kept", flush=True)
            server.stop(job)
    status = str(ended.status)
    print(f"{job}: {status}", flush=True)
    if status == "SUCCEEDED":
        return 0
    if status == "FAILED" and str(ended.error_type).startswith("JOB_SUPERVISOR_ACTOR_"):
        raise JobLost("the process that ran it on the head has died")
    if ended.error_type != "JOB_ENTRYPOINT_COMMAND_ERROR" and ended.message:
        print(ended.message.strip().splitlines()[-1], file=sys.stderr)
    return ended.driver_exit_code or (130 if status == "STOPPED" else 1)


def _write(text: str) -> None:
    print(text, end="", flush=True)


def _asked_to_stop(job: str) -> bool:
    """Whether the person wants the job to end; no where nobody can be asked, or it is unclear."""
    if not sys.stdin.isatty():
        return False
    try:
        answer = input(f"\n{job} runs on the cluster. [s]top it, or [d]etach and let it run? ")
    except (EOFError, KeyboardInterrupt):
        return False
    return answer.strip().lower().startswith("s")
