"""Ray's job server, from outside the cluster: submit, find, follow and stop jobs over HTTP."""

import asyncio
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UserError
from pipeline.proxies import in_between

if TYPE_CHECKING:
    from ray.job_submission import JobDetails

_POLL_S = 1.0
# A head that is started again takes half a minute.
_AWAY_S = 180.0
# What a log still brings after its job has ended.
_LAST_LINES_S = 3.0


class JobLost(Exception):
    """A job that was there is not, through no fault of its own; the text says how."""


class JobServer:
    """The job server at `http://host:8265`.

    Raises UserError where nobody answers there, or the token is refused.
    """

    def __init__(self, address: str) -> None:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        self.address = address
        with _explained(address):
            from ray.job_submission import JobSubmissionClient

            for name in ("ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk"):
                logging.getLogger(name).setLevel(logging.ERROR)
            self.client = JobSubmissionClient(address)
        self._followers: dict[str, _Follower] = {}

    def newest(self, name: str) -> "JobDetails | None":
        """The newest job called `name`, `name-2`, `name-3` …; None where there is none."""
        with _explained(self.address):
            jobs = self.client.list_jobs()
        found = {number_of(name, job.submission_id or ""): job for job in jobs}
        found.pop(0, None)
        return found[max(found)] if found else None

    def submit(
        self,
        name: str,
        entrypoint: str,
        package: Path,
        variables: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> str:
        """Start a job as the next attempt called `name`; returns its submission id.

        Two who submit the same at one moment get the same id: the second finds the job there.

        Args:
            name: letters, digits, `-` and `_`.
            entrypoint: its shell command, which everybody may read.
            package: a .zip of its working directory.
            variables: its environment, which everybody may read.
            metadata: what `ray job list` shows of it.
        """
        last = self.newest(name)
        number = 1 + (number_of(name, last.submission_id or "") if last else 0)
        submission = name if number == 1 else f"{name}-{number}"
        self._followers.pop(submission, None)  # one that the cluster lost had this id too
        until = time.monotonic() + _AWAY_S
        with _explained(self.address):
            while True:
                try:
                    return self.client.submit_job(
                        entrypoint=entrypoint,
                        submission_id=submission,
                        runtime_env={"working_dir": str(package), "env_vars": dict(variables)},
                        metadata=dict(metadata),
                    )
                except RuntimeError as error:
                    if f"{submission} already exists" in str(error):
                        return submission
                    # A head that has just started says this until its agent is there.
                    if "No available agent" not in str(error) or time.monotonic() > until:
                        raise
                time.sleep(_POLL_S)

    def info(self, submission: str) -> "JobDetails":
        """How a job is. Raises JobLost where the cluster does not know it."""
        try:
            return self.client.get_job_info(submission)
        except RuntimeError as error:
            if "status code 404" in str(error):  # an answer's text may hold the number too
                raise JobLost(
                    "the cluster does not know it, as after a new start of its head"
                ) from None
            raise

    def stop(self, submission: str) -> None:
        """Ask a job to end: its processes get SIGTERM."""
        with _explained(self.address):
            self.client.stop_job(submission)

    def follow(self, submission: str, write: Callable[[str], None]) -> "JobDetails":
        """Write a job's log as it grows, until the job has ended; returns how it ended.

        The log's stream may end while the job runs, and the head may be away for a while: it is
        then asked for again, and goes on where it broke off. So does a second call, after Ctrl-C.

        Raises:
            JobLost: the head came back without the job.
            UserError: the head stayed away for three minutes.
        """
        follower = self._followers.setdefault(submission, _Follower(self, submission))
        return asyncio.run(follower.run(write))


class _Follower:
    def __init__(self, server: JobServer, submission: str) -> None:
        self._server, self._submission = server, submission
        self._shown = 0  # characters of the log

    async def run(self, write: Callable[[str], None]) -> "JobDetails":
        self._write = write
        tail = asyncio.create_task(self._tail())
        away_since = None
        try:
            while True:
                try:
                    job = await asyncio.to_thread(self._server.info, self._submission)
                    if job.status.is_terminal():
                        await asyncio.wait([tail], timeout=_LAST_LINES_S)
                        logs = self._server.client.get_job_logs
                        self._show(await asyncio.to_thread(logs, self._submission), 0)
                        return job
                    away_since = None
                except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
                    away_since = away_since or time.monotonic()
                    if time.monotonic() - away_since > _AWAY_S:
                        raise UserError(
                            f"the job server at {self._server.address} has not answered for "
                            f"{_AWAY_S:.0f} s ({type(error).__name__}). The job may still run: "
                            "submit the same again to attach to it"
                        ) from None
                if tail.done():
                    tail = asyncio.create_task(self._tail())
                await asyncio.sleep(_POLL_S)
        finally:
            tail.cancel()
            await asyncio.wait([tail])

    async def _tail(self) -> None:
        """The log's stream, from its beginning, of which only what is new is written."""
        import aiohttp

        begins = 0
        try:
            async for text in self._server.client.tail_job_logs(self._submission):
                self._show(text, begins)
                begins += len(text)
        except (OSError, RuntimeError, aiohttp.ClientError):
            return

    def _show(self, text: str, begins: int) -> None:
        """Write what of `text`, which begins at that character of the log, is not shown yet."""
        new = text[max(0, self._shown - begins) :]
        if new:
            self._write(new)
            self._shown = begins + len(text)


def number_of(name: str, submission: str) -> int:
    """Which attempt of `name` a submission id is: 1 for `name`, 2 for `name-2`; 0 for none."""
    found = re.fullmatch(rf"{re.escape(name)}(?:-(\d+))?", submission)
    return int(found[1] or 1) if found else 0


@contextmanager
def _explained(address: str) -> Iterator[None]:
    """Turn what Ray raises while it is asked into one line."""
    import requests
    from ray.exceptions import AuthenticationError

    try:
        yield
    except AuthenticationError as error:
        raise UserError(
            f"the job server at {address} does not let us in: {_first_line(error)}. Put the "
            "cluster's token into RAY_AUTH_TOKEN, or into the file that RAY_AUTH_TOKEN_PATH names"
        ) from None
    except (ConnectionError, requests.RequestException):
        raise UserError(
            f"no Ray job server answers at {address}. Give --address http://host:8265, the "
            "dashboard of the cluster's head, which other machines reach where it was started by "
            "`ray start --head --include-dashboard=true --dashboard-host=ITS_ADDRESS`."
            f"{in_between(address)}"
        ) from None
    except (RuntimeError, ValueError) as error:
        if "Version check returned" in str(error):
            raise UserError(
                f"what answers at {address} is no Ray job server: give the address of the "
                f"dashboard of the cluster's head, such as http://host:8265.{in_between(address)}"
            ) from None
        raise UserError(f"the job server at {address}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> Any:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
