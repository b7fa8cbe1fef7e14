"""The course of a retraining: fetch, run, push, judge, commit, propose. Each may be done again.

Whatever ends it leaves finished parts in storage, finished stages in DVC's cache, and outputs in
the remote as far as they came; the same command goes on from there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import paths
from pipeline.errors import UserError
from pipeline.execution import dvc_remote, submitting
from pipeline.execution.job_results import JobResults
from pipeline.execution.repro import PREPARE_AGAIN, repro, stoppable
from pipeline.execution.retraining import branch, text
from pipeline.execution.retraining.github import TOKENS, GitHub
from pipeline.execution.retraining.outcome import LOCK, Outcome, outcome
from pipeline.execution.submission import kept_in, name_of, storage_of
from pipeline.storage.atomic import write_bytes
from pipeline.storage.lease import Lease
from pipeline.storage.store import Storage
from pipeline.tracking.clone import VARIABLE as CLONE_VARIABLE

if TYPE_CHECKING:
    from pipeline.execution.promotion import Decision
    from pipeline.execution.retraining.branch import Base
    from pipeline.params.loading import Params

CLUSTER = "RAY_API_SERVER_ADDRESS"
PICTURE = paths.PLOTS / "samples.png"
MARKDOWN = Path("artifacts/retrain.md")

_PICTURE_WIDTH = 640
_POLL_S = 1.0


@dataclass(frozen=True)
class Wanted:
    """What is asked of a retraining.

    Attributes:
        branch: to commit to; "": retrain/<the branch that is checked out>.
        base: the branch that the pull request goes into; "": the one that is checked out.
        new_data: whether `prepare` looks at its source again.
        address: of a cluster's job server; "": RAY_API_SERVER_ADDRESS, else everything runs here.
        storage: s3://…; None: what params.yaml or SGAN_STORAGE says.
        data: as in `submission.prepare`.
        python: the head's.
        wait: whether to wait for another retraining of the same branch.
        markdown: where the pull request's text goes.
    """

    branch: str = ""
    base: str = ""
    new_data: bool = False
    address: str = ""
    storage: str | None = None
    data: str = ""
    python: str = "python"
    wait: bool = True
    markdown: Path = MARKDOWN


def retrain(root: Path, wanted: Wanted) -> int:
    """Retrain the project `root`; returns the exit status: 0, or that of `dvc repro` or of the job.

    Raises UserError for what cannot work, as early as it shows.
    """
    from pipeline.params.loading import load

    params = load(root / paths.PARAMS, root)
    base = branch.base_of(root, wanted.base)
    name = wanted.branch or f"retrain/{base.branch}"
    remote = remote_of(root)
    cluster = wanted.address or os.environ.get(CLUSTER, "")
    uri = storage_of(params, wanted.storage)
    if wanted.storage:
        os.environ[paths.STORAGE_VARIABLE] = wanted.storage  # for the stages that run here
    if cluster and not uri.startswith("s3://"):
        raise UserError(
            f"storage {uri}: a job's results come here from s3:// only; set SGAN_STORAGE, or "
            f"unset {CLUSTER} to train here"
        )
    # A runner's folder does not outlive it: the next one goes on in the same runs of MLflow.
    os.environ.setdefault(CLONE_VARIABLE, name.replace("/", "-"))
    storage = Storage(uri, root)
    with _alone(storage, name, wait=wanted.wait):
        if cluster:
            status = _submitted(root, params, wanted, cluster)
        else:
            status = _run_here(root, remote, new_data=wanted.new_data)
        _keep(root, remote)
        if status:
            return status
        return _propose(root, params, wanted, base, name, remote)


def remote_of(root: Path) -> str:
    """The name of DVC's default remote. Raises UserError where none is set."""
    with dvc_remote.opened(root, "the project") as repo:
        found = repo.config["core"].get("remote")
    if not found:
        raise UserError(
            "DVC has no default remote, and what is trained would stay on this machine: "
            "`dvc remote add --default storage s3://bucket/dvc` (another S3 than Amazon's: "
            "`dvc remote modify storage endpointurl http://…`), then commit .dvc/config"
        )
    return str(found)


@contextmanager
def _alone(storage: Storage, name: str, *, wait: bool) -> Iterator[None]:
    """Inside, no other retraining of the same branch is under way. Raises UserError where one is
    and nobody wants to wait."""
    lease = Lease(storage, f"retrain/{name.replace('/', '-')}.lease")
    told = False
    while not lease.take():
        holder = lease.holder
        who = f"{holder.who}, since {holder.since}" if holder else "somebody"
        if not wait:
            raise UserError(f"another retraining of {name} is under way: {who}")
        if not told:
            print(f"retrain: {name} is being retrained by {who}; waiting for that", flush=True)
        told = True
        time.sleep(_POLL_S)
    if not lease.kept:
        print(f"retrain: {storage.uri} keeps no leases; two at once would train twice", flush=True)
    try:
        yield
    finally:
        lease.release()


def _run_here(root: Path, remote: str, *, new_data: bool) -> int:
    with dvc_remote.opened(root, f"remote {remote}") as repo:
        dvc_remote.pull(repo, remote)
    with stoppable() as stop:
        status = repro(root, PREPARE_AGAIN, stop) if new_data else 0
        return status or repro(root, ["--pull"], stop)


def _submitted(root: Path, params: Params, wanted: Wanted, cluster: str) -> int:
    """The job's exit status, with its results in the checkout where it succeeded."""
    storage, data, new_data = wanted.storage, wanted.data, wanted.new_data
    name = name_of(root, storage, (), data, new_data)  # the checkout may change while it runs
    status = submitting.submit(
        root,
        address=submitting.address_of(cluster),
        storage=storage,
        arguments=(),
        data=data,
        python=wanted.python,
        new_data=new_data,
    )
    record = JobResults(kept_in(params, storage), name).record() or {}
    if status == 0 and record.get("status") != "SUCCEEDED":
        raise UserError(f"{name} goes on without this command; the same again attaches to it")
    if status == 0:
        submitting.fetch(root, name, storage, (), data, new_data)
    return status


def _keep(root: Path, remote: str) -> None:
    """Push what there is. Raises UserError, which says that nothing is lost, where that fails."""
    if not (root / LOCK).is_file():
        return
    try:
        with dvc_remote.opened(root, f"remote {remote}") as repo:
            dvc_remote.push(repo, remote)
    except UserError as error:
        raise UserError(
            f"{error}\nNothing is lost: outputs are in DVC's cache here, trained parts in storage. "
            "The same command again trains nothing and pushes"
        ) from None


def _propose(root: Path, params: Params, wanted: Wanted, base: Base, name: str, remote: str) -> int:
    found = outcome(root, base, params, lambda: _made_elsewhere(root))
    if not found.is_news:
        print(f"retrain: nothing is stale at {base.revision[:10]}; {remote} has all outputs")
        return 0
    verdict, version = _verdict(root)
    _show(root, found, version)
    since = branch.last_change(root, LOCK)
    differences = text.Differences.since_commit(root, since)
    kept = [LOCK, paths.METRICS, paths.PLOTS]
    subject = f"Retrain {base.branch}: {found.core_minutes:.1f} core-minutes"
    commit = branch.commit(root, base, kept, subject)
    repository = branch.github_repository(root)
    picture = (root / PICTURE).is_file()
    address = text.picture_address(repository, commit, PICTURE) if picture else ""
    written = text.pull_request(base, found, verdict, differences, address, f"remote {remote}")
    write_bytes(root / wanted.markdown, written.encode())
    print(f"retrain: {_sentence(verdict)}; {wanted.markdown} has the pull request's text")
    if not branch.has_remote(root):
        branch.keep(root, commit, name)
        print(f"retrain: branch {name}; there is no {branch.REMOTE} to push it to")
        return 0
    pushed = branch.push(root, commit, name)
    print(f"retrain: branch {name} {'pushed' if pushed else 'is there already'}")
    github = GitHub.from_environment(repository)
    if github is None:
        print(f"retrain: no pull request without {' or '.join(TOKENS)} and a GitHub repository")
        return 0
    title = f"Retrain {base.branch} at {base.revision[:10]}: {_outcome(verdict)}"
    print(f"retrain: {github.propose(name, base.branch, title, written)}")
    return 0


def _made_elsewhere(root: Path) -> dict[str, str] | None:
    """Which execution made what this one did not; None where that cannot be told."""
    from pipeline.execution.promotion import tracker_of
    from pipeline.execution.stage import opened
    from pipeline.report.facts import Workspace, made_elsewhere

    try:
        with opened("retrain", root) as stage:
            stage.manifest()  # without data there is nothing to ask
            levels = tuple(stage.params.levels)
            return made_elsewhere(Workspace(stage.root, levels, stage.lineage, tracker_of(stage)))
    except UserError as error:
        print(f"retrain: what was reused is told by the evaluation alone ({error})")
        return None


def _verdict(root: Path) -> tuple[Decision | str, str]:
    """The gate's verdict on the stack that lies here, and the stack's version in the registry; a
    sentence and "" where it cannot be had."""
    from pipeline.execution.promotion import decide, registry_of
    from pipeline.execution.stage import file_sha256, opened

    try:
        with opened("promote", root) as stage:
            weights = stage.path(paths.STACK_WEIGHTS)
            if not weights.is_file():
                return f"{paths.STACK_WEIGHTS} is not here", ""
            known = registry_of(stage).of_weights(file_sha256(weights))
            if known is None:
                return "the stack is in no registry (evaluate.log_model)", ""
            decision = decide(stage, str(known.version), dry=True)
            return decision, decision.challenger
    except UserError as error:
        return str(error), ""


def _show(root: Path, found: Outcome, version: str) -> None:
    """Write what the commit has besides DVC's own files: the times, a picture of the samples."""
    from PIL import Image

    from pipeline.storage.atomic import atomic_path

    found.write(root, version)
    sheet = root / paths.EVALUATE / "samples.png"
    if sheet.is_file():
        with Image.open(sheet) as image, atomic_path(root / PICTURE) as temporary:
            image.thumbnail((_PICTURE_WIDTH, 4 * _PICTURE_WIDTH))
            image.save(temporary, "PNG", optimize=True)


def _outcome(verdict: Decision | str) -> str:
    return "no verdict" if isinstance(verdict, str) else verdict.verdict.outcome


def _sentence(verdict: Decision | str) -> str:
    return f"no verdict ({verdict})" if isinstance(verdict, str) else f"verdict {verdict.sentence}"
