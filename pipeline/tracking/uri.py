"""Where runs are tracked: the address, whether it answers, and the lock of a fresh database."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import UserError
from pipeline.paths import TRACKING_ARTIFACTS, TRACKING_DB
from pipeline.proxies import in_between
from pipeline.tracking.redaction import redact

URI_VARIABLE = "MLFLOW_TRACKING_URI"

LOCAL_INTERFACE = "http://127.0.0.1:5000"
LINKS_NOTE = "The links to MLflow work while “make ui” runs on the machine of this project."

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_SERVERS = ("http", "https")
_CONNECT_S, _ANSWER_S = 3.0, 5.0
# Any MLflow answers it in JSON, also those of others that serve its interface and no /health.
_QUESTION = "api/2.0/mlflow/experiments/get-by-name?experiment_name=sgan"


def tracking_uri(root: Path, uri: str | None = None) -> str:
    """`uri`, else `MLFLOW_TRACKING_URI`, else sqlite in `<root>/mlflow.db`. A relative path of a
    sqlite file is relative to `root`, the project that owns the workspace.

    Raises:
        UserError: the address is of a kind that MLflow does not track to (a folder, for example).
    """
    chosen = uri or os.environ.get(URI_VARIABLE) or f"sqlite:///{root / TRACKING_DB}"
    scheme = urlsplit(chosen).scheme.split("+")[0]
    if scheme not in (*_DATABASES, *_SERVERS):
        raise UserError(
            f"{URI_VARIABLE}={redact(chosen)}: MLflow does not track there. Give a server "
            f"(http://host:port) or a database ({', '.join(_DATABASES)}), or unset the variable "
            f"to track in {TRACKING_DB} of the project."
        )
    file = _relative_file(chosen)
    return chosen if file is None else f"sqlite:///{root / file}"


def is_server(uri: str) -> bool:
    """True for an MLflow server, False for a database this process opens itself."""
    return urlsplit(uri).scheme in _SERVERS


def interface(uri: str) -> str:
    """Address of MLflow's pages, without credentials: the server, else what `make ui` serves.

    "" where a credential of the environment is part of the server's path.
    """
    if not is_server(uri):
        return LOCAL_INTERFACE
    parts = urlsplit(uri)
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    return address if redact(address) == address else ""


def links_note(uri: str) -> str:
    """What a reader needs to follow links to `interface(uri)`; "" for a server."""
    return "" if is_server(uri) else LINKS_NOTE


def artifact_location(uri: str, root: Path) -> str | None:
    """Where a new experiment keeps its files: beside a sqlite file, None where a server decides."""
    if is_server(uri):
        return None
    beside = sqlite_file(uri)
    folder = (beside.parent if beside else root) / TRACKING_ARTIFACTS
    return folder.resolve().as_uri()


def lock_path(uri: str, root: Path) -> Path:
    """The file that processes lock while they look up or create an experiment or a parent run."""
    file = sqlite_file(uri) or root / TRACKING_DB
    return file.with_name(f"{file.name}.lock")


def sqlite_file(uri: str) -> Path | None:
    """The file of a sqlite database; None for any other address."""
    if not uri.startswith("sqlite:"):
        return None
    return Path(uri.removeprefix("sqlite:///").split("?")[0]).resolve()


def check_reachable(uri: str) -> None:
    """Asks a server for a sign of life; does nothing for a database.

    Raises:
        ConnectionError: no answer within 3 s to connect and 5 s to read, or one that says that it
            cannot now.
        UserError: its certificate is not trusted, or what answers is not MLflow.
    """
    if not is_server(uri):
        return
    import requests

    insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() == "true"
    verify = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or not insecure
    try:
        answer = requests.get(
            f"{uri.rstrip('/')}/{_QUESTION}", timeout=(_CONNECT_S, _ANSWER_S), verify=verify
        )
    except requests.exceptions.SSLError as error:
        raise UserError(f"{no_answer(uri)} TLS: {redact(str(error))}") from None
    except (requests.RequestException, ValueError):
        raise ConnectionError("no answer within seconds") from None
    if answer.status_code >= 500:
        raise ConnectionError(f"it answered {answer.status_code} {answer.reason}")
    if answer.status_code in (401, 403):  # the client has what lets it in, or says what is missing
        return
    if not answer.headers.get("Content-Type", "").startswith("application/json"):
        kind = answer.headers.get("Content-Type", "no type")
        raise UserError(
            f"what answers at {redact(uri)} ({URI_VARIABLE}) is no MLflow server: "
            f"{answer.status_code} {answer.reason}, {kind}. Correct the address (`mlflow server` "
            f"has port 5000), or unset the variable to track in {TRACKING_DB} of the project."
            f"{in_between(uri)}"
        )


def no_answer(uri: str) -> str:
    """What a person is told when the server at `uri` does not answer."""
    return (
        f"the MLflow server at {redact(uri)} does not answer. The address comes from "
        f"{URI_VARIABLE}: start the server, correct the address, or unset the variable to track "
        f"in {TRACKING_DB} of the project.{in_between(uri)}"
    )


def _relative_file(uri: str) -> str | None:
    """The file, with the options behind it, of an address such as `sqlite:///mlflow.db`."""
    path = uri.partition("///")[2]
    relative = uri.startswith("sqlite:///") and path and not path.startswith(("/", ":"))
    return path if relative else None
