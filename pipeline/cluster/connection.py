"""A Ray session: the cluster that RAY_ADDRESS names, else a local Ray; its token, its signals."""

import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

_ANSWER_S = 5.0


def wanted() -> bool:
    """Whether the environment names a cluster (RAY_ADDRESS), to which then every part goes."""
    return bool(os.environ.get("RAY_ADDRESS"))


@contextmanager
def connected(cpus: int | None = None) -> Iterator[None]:
    """A Ray session: the cluster at RAY_ADDRESS, else a local one, ended afterwards.

    Args:
        cpus: cores that a local Ray may hand out; all by default.

    Raises:
        UserError: the cluster does not answer, or refuses this driver's token.
    """
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _check_answers(address)
    else:
        _ensure_token()
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        with _own_signal_handlers():
            if address:
                ray.init(address=address, **quiet)
            else:
                # Without "local" it would join whatever Ray another person started here.
                own: dict[str, Any] = {
                    "num_cpus": cpus or os.cpu_count(),
                    "include_dashboard": False,
                }
                ray.init(address="local", **own, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"the Ray cluster at RAY_ADDRESS={address}" if address else "a local Ray"
        raise UserError(f"{where} cannot be used: {error}. Check it with `ray status`") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Raises UserError where nothing listens at the address: Ray would wait for it for ever."""
    if address in ("auto", "local"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise UserError(
            f"RAY_ADDRESS={address}: must be host:port of a cluster's head, or 'auto' for the one "
            "that was started on this machine; unset it to train on a local Ray"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
    except OSError as error:
        raise UserError(
            f"the Ray cluster at RAY_ADDRESS={address} does not answer ({error}). Start it, or "
            "unset RAY_ADDRESS to train on a local Ray"
        ) from error


@contextmanager
def _own_signal_handlers() -> Iterator[None]:
    """Puts the signal handlers back afterwards: Ray's end the process without a word to MLflow."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    if threading.current_thread() is threading.main_thread():
        for number, handler in before.items():
            signal.signal(number, handler)


def _ensure_token() -> None:
    """A local Ray gets a token of its own, which its processes inherit; nothing is written."""
    places = (os.environ.get("RAY_AUTH_TOKEN"), os.environ.get("RAY_AUTH_TOKEN_PATH"))
    if not any(places) and not (Path.home() / ".ray" / "auth_token").exists():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
