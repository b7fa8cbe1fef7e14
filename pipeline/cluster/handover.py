"""Hand bytes to a Ray job that nobody else is shown: given over HTTP, taken once on the cluster.

What a job's `runtime_env`, entrypoint or metadata holds is listed by `ray job list`, by the
dashboard and in Ray's event files, so credentials go another way: through the store of packages
that the job server keeps for working directories, under a name that cannot be guessed, from which
the job takes and deletes them as it starts. Nothing is written to a disk. What is not taken is
deleted by Ray itself after ten minutes (RAY_RUNTIME_ENV_TEMPORARY_REFERENCE_EXPIRATION_S).
"""

import os
import secrets
from typing import TYPE_CHECKING

from pipeline.errors import UserError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

_SCHEME = "gcs://"


def give(client: "JobSubmissionClient", content: bytes) -> str:
    """Store `content` on the cluster's head; returns the name by which a job takes it.

    Raises UserError where the job server refuses it.
    """
    name = f"_ray_pkg_sgan-{secrets.token_hex(16)}.zip"
    # The job server pins, for ten minutes, what is asked for: that is what deletes it afterwards.
    for method, data in (("PUT", content), ("GET", None)):
        answer = client._do_request(method, f"/api/packages/gcs/{name}", data=data)
        if answer.status_code != 200:
            raise UserError(
                f"the job server does not take the job's settings ({answer.status_code}): its Ray "
                "has to be the version in requirements.lock"
            )
    return name


def take(name: str) -> bytes:
    """What was given under `name`, which is deleted. For a job, on a node of the cluster.

    Raises UserError where it is not there (any more).
    """
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    store = GcsClient(address=os.environ["RAY_ADDRESS"])
    key = f"{_SCHEME}{name}".encode()
    content = store.internal_kv_get(key, None)
    if content is None:
        raise UserError(
            "the settings that were handed over for this job are gone: they are taken once, and "
            "kept for ten minutes. Submit it again"
        )
    store.internal_kv_del(key, False, None)
    return bytes(content)
