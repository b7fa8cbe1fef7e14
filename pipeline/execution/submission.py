"""Prepare a job for a cluster: what travels, where things stay, and what cannot work is refused."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pipeline import paths
from pipeline.cluster.travel import S3, packed
from pipeline.data import patterns
from pipeline.data.survey.listing import of_folder
from pipeline.errors import UserError
from pipeline.execution import package
from pipeline.storage import s3
from pipeline.storage.s3_client import endpoint
from pipeline.tracking.redaction import redact
from pipeline.tracking.revision import NO_GIT, revision_of
from pipeline.tracking.revision import VARIABLE as REVISION_VARIABLE
from pipeline.tracking.uri import URI_VARIABLE, is_server, tracking_uri

if TYPE_CHECKING:
    from pipeline.params.loading import Params


# Files and folders of this machine.
_STAY = (
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "SGAN_CACHE",
    "SGAN_CLONE",
    paths.STORAGE_VARIABLE,
)


@dataclass(frozen=True)
class Submission:
    """A job that is ready to be submitted.

    Attributes:
        name: the same for the same content, arguments and storage: `sgan-` and 12 hex digits.
        contents: the package's files by their names in it.
        storage: s3://…, or an absolute folder of the head.
        environment: variables of the job, credentials among them.
        arguments: of `dvc repro`.
        revision: the commit, `-dirty` after it where tracked files differ; "" without one.
        new_data: whether `prepare` looks at the data's source again.
    """

    name: str
    contents: dict[str, Path]
    storage: str
    environment: dict[str, str]
    arguments: tuple[str, ...]
    revision: str
    new_data: bool = False


def prepare(
    root: Path,
    address: str,
    storage: str | None,
    arguments: Sequence[str],
    data: str = "",
    new_data: bool = False,
) -> Submission:
    """A submission of the checkout `root` to the job server at `address`.

    Args:
        root: the project.
        address: of the job server, http://host:port.
        storage: `--storage`; None: what params.yaml or SGAN_STORAGE says.
        arguments: of `dvc repro`.
        data: a local data.source outside the project `travels`, or is `there` on the head at the
            same path. "": such a source is refused.
        new_data: whether `prepare` looks at the data's source again; another job than without.

    Raises UserError for what cannot work, before anything is sent.
    """
    from pipeline.params.loading import load

    params = load(root / paths.PARAMS)
    kept = kept_in(params, storage)
    tracking = tracked_at(kept)
    _not_this_machine(URI_VARIABLE, tracking if is_server(tracking) else "", address)
    if kept.startswith("s3://"):
        _not_this_machine("AWS_ENDPOINT_URL", endpoint() or "", address)
    contents, outside = _contents(params, root, data)
    environment = travelling()
    environment[URI_VARIABLE] = tracking
    if outside:
        environment[paths.DATA_SOURCE_VARIABLE] = package.sent_as(outside).as_posix()
    revision = _revision(root)
    if revision:
        environment[REVISION_VARIABLE] = revision
    name = _name(contents, arguments, kept, new_data)
    return Submission(name, contents, kept, environment, tuple(arguments), revision, new_data)


def name_of(
    root: Path,
    storage: str | None,
    arguments: Sequence[str],
    data: str = "",
    new_data: bool = False,
) -> str:
    """The name of the job that `prepare` would make of the checkout as it is. Raises UserError."""
    from pipeline.params.loading import load

    params = load(root / paths.PARAMS)
    contents, _ = _contents(params, root, data)
    return _name(contents, arguments, kept_in(params, storage), new_data)


def _contents(params: "Params", root: Path, data: str) -> tuple[dict[str, Path], Path | None]:
    inside, outside = _local_data(params, root, data)
    return package.members(root, package.files(root, inside), outside), outside


def _name(contents: dict[str, Path], arguments: Sequence[str], kept: str, new_data: bool) -> str:
    identified = [package.digest(contents), list(arguments), kept]
    identity = json.dumps([*identified, "new data"] if new_data else identified)
    return "sgan-" + hashlib.sha256(identity.encode()).hexdigest()[:12]


def storage_of(params: "Params", chosen: str | None) -> str:
    """`--storage`, else what params.yaml or SGAN_STORAGE says. Raises UserError where params.yaml
    says another."""
    written = params.runtime.storage
    if written and chosen and written != chosen:
        raise UserError(
            f"params.yaml: runtime.storage = {written}, and --storage {chosen}: leave one out"
        )
    return chosen or params.runtime.storage_uri()


def kept_in(params: "Params", chosen: str | None) -> str:
    """Where a job's results stay: s3://…, or an absolute path, which is the head's.

    Raises UserError where they would lie in the job's own folder and be lost with it.
    """
    uri = storage_of(params, chosen)
    if uri.startswith("s3://"):
        s3.parse(uri)
        return uri.rstrip("/")
    path = url2pathname(urlsplit(uri).path) if uri.startswith("file://") else uri
    if "://" in path or not Path(path).is_absolute():
        raise UserError(
            f"storage {uri!r}: a job's folder is deleted with the job, and what it made would be "
            "lost. Give --storage s3://bucket/prefix, or --storage /an/absolute/folder of the head"
        )
    return os.path.normpath(path)


def tracked_at(storage: str) -> str:
    """MLflow's address for a job: a server or a database, or a file below the storage's folder.

    Raises UserError where the runs would be lost with the job.
    """
    local = not storage.startswith("s3://")
    if not os.environ.get(URI_VARIABLE):
        if local:
            return f"sqlite:///{storage}/{paths.TRACKING_DB}"
        raise UserError(
            f"{URI_VARIABLE} is not set: MLflow would track in a file of the job's folder, which "
            "is deleted with the job. Set it to a server that the cluster reaches (http://host:5000)"
        )
    uri = tracking_uri(paths.project_root())
    if uri.startswith("sqlite:"):
        file = Path("/" + urlsplit(uri).path.lstrip("/"))
        absolute = urlsplit(uri).path.startswith("//") and local
        if not (absolute and file.is_relative_to(storage)):
            raise UserError(
                f"{URI_VARIABLE}={uri}: this file would be lost with the job, or is not the "
                "head's. Set it to a server that the cluster reaches (http://host:5000)"
                + (f", or unset it to track in {storage}/{paths.TRACKING_DB}" if local else "")
            )
    return uri


def travelling() -> dict[str, str]:
    """This process's variables that a job is given: those that travel to workers, less those that
    name files of this machine or are said anew."""
    carried = packed(S3).environment  # a job reads and writes whatever a run does
    return {name: value for name, value in carried.items() if name not in _STAY}


def _not_this_machine(variable: str, uri: str, address: str) -> None:
    """Raises UserError where `uri` is this machine's own, and the job server another's."""
    if uri and _is_loopback(uri) and not _is_loopback(address):
        raise UserError(
            f"{variable}={redact(uri)} is this machine's own address, and on the cluster it would "
            "be the cluster's: give the address by which the cluster reaches it"
        )


def _is_loopback(uri: str) -> bool:
    host = urlsplit(uri).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _local_data(params: "Params", root: Path, data: str) -> tuple[list[Path], Path | None]:
    """What the parameters name of this machine: paths in the project, and data outside of it."""
    inside, outside = [], None
    named = {
        "data.source": params.data.source,
        "evaluate.inception_weights": params.evaluate.inception_weights,
    }
    for field, value in named.items():
        if not value or ("://" in value and not value.startswith("file://")):
            continue
        text = url2pathname(urlsplit(value).path) if value.startswith("file://") else value
        several = patterns.parse(value) if patterns.is_pattern(value) else None
        path = (root / Path(several.base if several else text).expanduser()).resolve()
        if path.is_relative_to(root):
            inside += _named_by(several, path) if several else [path]
        elif data == "there":
            continue
        elif data == "travels" and field == "data.source" and not several and path.exists():
            outside = path
        else:
            raise UserError(
                f"params.yaml: {field} = {value}: lies outside the project and does not travel. "
                f"Upload it and give its s3:// address here; or {_otherwise(field, several, path)}"
            )
    return inside, outside


def _named_by(several: patterns.Pattern, base: Path) -> list[Path]:
    """The files that a pattern names below its base, as `prepare` finds them."""
    found = of_folder(base, several.matches).entries if base.is_dir() else []
    return [base / entry.path for entry in found]


def _otherwise(field: str, several: patterns.Pattern | None, path: Path) -> str:
    """What else a person can do with data that lie outside."""
    there = "say --data there if the head has it at the same path"
    if field != "data.source":
        return there
    if several:
        return f"name its folder and say --data travels to send all of it along; or {there}"
    if not path.exists():
        return f"{there} (here it is not)"
    return f"say --data travels to send it along; or {there}"


def _revision(root: Path) -> str:
    code = revision_of(root)
    if code.commit == NO_GIT:
        return ""
    return code.commit + ("-dirty" if code.dirty else "")
