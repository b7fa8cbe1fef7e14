"""A Ray of this machine alone: its cores, its sockets' folder, its token."""

import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.storage.atomic import free_bytes

# A socket's path has 107 bytes at most, of which Ray takes up to 66 behind the temporary folder.
_LONGEST = 40
# Bytes of sockets, logs and small objects; a Ray without them starts for half a minute, and fails.
_ROOM = 10_000_000


def options(cpus: int | None) -> dict[str, Any]:
    """What `ray.init` needs.

    Args:
        cpus: cores that it may hand out; by default as many as `cores` finds.

    Raises:
        UserError: no temporary folder is short enough for Ray's sockets, or its disk is full.
    """
    ensure_token()
    # Without "local" it would join whatever Ray another person started here.
    found = {"address": "local", "num_cpus": cpus or cores(), "include_dashboard": False}
    folder = _sockets()
    _check_room(folder or os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp")
    return found if folder is None else {**found, "_temp_dir": folder}


def cores() -> int:
    """Cores that this process may use: what its affinity (`taskset`, a batch system) and its
    container's quota leave of the machine's."""
    import joblib

    return int(joblib.cpu_count())


def ensure_token() -> None:
    """A local Ray gets a token of its own, which its processes inherit; nothing is written."""
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return
    if not _kept_token():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _kept_token() -> bool:
    try:
        return (Path.home() / ".ray" / "auth_token").exists()
    except (OSError, RuntimeError):  # no HOME, and an account without an entry
        return False


def _sockets() -> str | None:
    """The folder for Ray's session where the temporary one's path is too long, else None."""
    if os.environ.get("RAY_TMPDIR"):
        return None
    usual = tempfile.gettempdir()
    if len(os.fsencode(usual)) <= _LONGEST:
        return None
    if os.access("/tmp", os.W_OK | os.X_OK):
        return "/tmp/ray"
    raise UserError(
        f"TMPDIR={usual}: Ray's sockets lie there, whose paths allow for {_LONGEST} characters; "
        "name a folder with a shorter path"
    )


def _check_room(folder: str) -> None:
    """Raises UserError where the disk below Ray's temporary folder is all but full."""
    free = free_bytes(Path(folder))
    if free < _ROOM:
        raise UserError(
            f"{folder}: {free / 1e6:,.1f} MB are free on that disk, and Ray, whose sockets and "
            f"logs lie there, needs {_ROOM / 1e6:,.0f}: make room, or name another folder (TMPDIR)"
        )
