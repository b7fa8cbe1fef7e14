"""Asking MLflow: what a failed call means, and waiting for a server that is away for a while."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeline.errors import UserError
from pipeline.proxies import in_between
from pipeline.storage.atomic import is_refusal, refusal
from pipeline.storage.s3_client import PASSING
from pipeline.tracking.redaction import redact
from pipeline.tracking.uri import check_reachable, is_server, no_answer

if TYPE_CHECKING:
    from mlflow import MlflowClient

_logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

# MLflow itself would send anything again, a run to be created too, and keep a caller waiting for
# four minutes; `Asker.ask` does it with a word. What MLflow prints by itself would run through the
# progress bars. A person's own settings win.
_MLFLOW_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

WAIT_VARIABLE = "SGAN_TRACKING_WAIT"
_WAIT_S = 120.0
_PAUSE_S = 1.0
_HICCUP_S = 2.0  # a call that works within this is not worth a line
LOCK_S = 300.0

# Of an artifact's path on this machine, not of the server.
_LOCAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
# Of an S3 that MLflow keeps files in, and that answers this machine itself.
_STORES = ("boto3", "botocore", "s3transfer")
_PASSING = (408, 429)  # of the statuses 4xx
# Credentials that did a minute ago may be had anew before the next stage sends what waits.
_PASSING_CODES = PASSING | {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}


class Asker:
    """The client of one MLflow, and the patience with it.

    Attributes:
        client: bound to the address, once `connect` has made it; no global state is set.
        uri: the address.
        shown_uri: the same without credentials, fit to print.
    """

    client: "MlflowClient"

    def __init__(self, uri: str, patient: bool = True) -> None:
        self.uri = uri
        self.shown_uri = redact(uri)
        self.longest_s = longest_wait() if patient else 0.0
        self._gave_up = False

    def reach(self, known: bool) -> None:
        """Asks a server for a sign of life; `known`: it has answered before, so wait for it.

        Raises ConnectionError where there is none, UserError as `uri.check_reachable`.
        """
        self.ask(lambda: check_reachable(self.uri), patient=known)

    def connect(self) -> "MlflowClient":
        """Makes the client, in a process that keeps to the settings above."""
        for variable, value in _MLFLOW_DEFAULTS.items():
            os.environ.setdefault(variable, value)
        import mlflow

        logging.getLogger("alembic").setLevel(logging.WARNING)
        self.client = mlflow.MlflowClient(self.uri, registry_uri=self.uri)
        return self.client

    def ask(self, call: Callable[[], Answer], patient: bool = True) -> Answer:
        """What `call` returns; where a server is away, asked again for up to `longest_s` seconds.

        Says so in a line. Once it has waited in vain, the next calls are made once only, until one
        succeeds. Raises whatever the last call raised.
        """
        began, told = time.monotonic(), False
        while True:
            try:
                answer = call()
            except Exception as error:
                may_return = is_server(self.uri) and is_outage(error)
                if not (may_return and patient and self.longest_s) or self._gave_up:
                    raise
                waited = time.monotonic() - began
                if waited >= self.longest_s:
                    self._gave_up = True
                    raise
                if waited >= _HICCUP_S and not told:
                    told = True
                    _logger.warning(
                        "MLflow at %s does not answer; waiting up to %.0f s for it.%s",
                        self.shown_uri,
                        self.longest_s,
                        in_between(self.uri),
                    )
                time.sleep(_PAUSE_S)
            else:
                self._gave_up = False
                return answer

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Turns what MLflow raises inside into one UserError, without credentials."""
        from filelock import Timeout
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except Timeout:
            raise UserError(
                f"{self.shown_uri}: another process has held the tracking lock for "
                f"{LOCK_S:.0f} s; end it and run again"
            ) from None
        except ModuleNotFoundError as error:  # a database's driver
            raise UserError(f"MLflow at {self.shown_uri}: {error}; install it") from error
        except SQLAlchemyError as error:  # the first line; the statement follows
            reason = redact(str(error).partition("\n")[0])
            raise UserError(f"MLflow's database {self.shown_uri}: {reason}") from error
        except (MlflowException, OSError) as error:
            if isinstance(error, OSError) and error.filename and is_refusal(error):
                told = f"{error.filename}: {refusal(error, Path(error.filename))}"
                raise UserError(f"MLflow at {self.shown_uri}: {told}") from error
            reason = redact(str(error)).strip()
            if is_server(self.uri) and is_outage(error):
                raise UserError(f"{no_answer(self.uri)} ({reason[:300]})") from error
            raise UserError(f"MLflow at {self.shown_uri}: {reason[:1000]}") from error
        except Exception as error:
            if not _is_of_store(error):
                raise
            raise UserError(
                f"the file store of MLflow at {self.shown_uri}: {redact(str(error))[:1000]}; check "
                "MLFLOW_S3_ENDPOINT_URL, and your right to write there (AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE)"
            ) from error


def longest_wait() -> float:
    """Seconds to wait for a server that is away: `SGAN_TRACKING_WAIT`, else 120.

    Raises:
        UserError: it is no number of seconds.
    """
    given = os.environ.get(WAIT_VARIABLE, "")
    try:
        seconds = float(given or _WAIT_S)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UserError(f"{WAIT_VARIABLE}={given}: must be a number of seconds, 0 or more")
    return seconds


def is_outage(error: BaseException) -> bool:
    """True if a call may work later: the server, or its file store, is away or busy, rather than
    refusing the call."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        return error.error_code in ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE")
    if _is_of_store(error):
        return _is_store_away(error)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return _is_passing(status)
    return isinstance(error, OSError) and not isinstance(error, _LOCAL)


def _is_of_store(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] in _STORES


def _is_store_away(error: BaseException) -> bool:
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        return code in _PASSING_CODES or _is_passing(status)
    if isinstance(error, exceptions.BotoCoreError):
        cut = (
            exceptions.ConnectionError,
            exceptions.HTTPClientError,
            exceptions.IncompleteReadError,
            exceptions.CredentialRetrievalError,
            exceptions.MetadataRetrievalError,
            exceptions.TokenRetrievalError,
        )
        return isinstance(error, cut) and not isinstance(error, exceptions.SSLError)
    # boto3 names an upload's error anew, and keeps a download's last one.
    cause = getattr(error, "last_exception", None) or error.__cause__ or error.__context__
    return cause is not None and is_outage(cause)


def _is_passing(status: int) -> bool:
    """Whether an HTTP status may be another one later."""
    return status in _PASSING or not 400 <= status < 500
