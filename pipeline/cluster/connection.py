"""A Ray session: the cluster that RAY_ADDRESS names, else a local Ray; its token, its signals."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.cluster import local, nodes
from pipeline.cluster.room import Need, wait_for
from pipeline.cluster.travel import runtime_env
from pipeline.errors import UserError

_ANSWER_S = 5.0
_DIAL_S = 1.0
# Ray's own patience is 60 s, and then its C++ ends this process without a word to anyone.
_HEAD_AWAY_S = 15.0
_LAST_WORD_S = 50.0
# What a client of HTTP/2 says first, its settings behind it, and what is said back (RFC 9113, 3.4).
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
_FRAME, _SETTINGS = 9, b"\x04"


class ClusterLost(UserError):
    """The head of the cluster does not answer any more."""


class Head:
    """The head of the cluster that this driver is connected to: asked between other things whether
    it is still there."""

    def __init__(self) -> None:
        import ray

        self.address = ray.get_runtime_context().gcs_address
        self._answered = time.monotonic()

    def check(self, patience: float = _HEAD_AWAY_S) -> None:
        """Raises ClusterLost where the head has not answered for so many seconds, at any time in
        between."""
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _DIAL_S).close()
            self._answered = time.monotonic()
        except OSError as error:
            away = time.monotonic() - self._answered
            if away > patience:
                raise ClusterLost(
                    f"the head of the Ray cluster ({self.address}) has not answered for "
                    f"{away:.0f} s ({error}): start it, and run again"
                ) from error


def wanted() -> bool:
    """Whether the environment names a cluster (RAY_ADDRESS), to which then every part goes."""
    return bool(os.environ.get("RAY_ADDRESS"))


@contextmanager
def connected(cpus: int | None = None, wait_seconds: float = 60.0) -> Iterator[None]:
    """A Ray session: the cluster at RAY_ADDRESS, else a local one, ended afterwards.

    Args:
        cpus: cores that a local Ray may hand out; all that this process may use by default.
        wait_seconds: how long the cluster's first core may take to come.

    Raises:
        UserError: the cluster does not answer, or refuses this driver's token, or has a node that
            cannot run this project's code.
    """
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _check_answers(address)
    own = {} if address else local.options(cpus)
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        with _own_signal_handlers():
            if address:
                ray.init(address=address, runtime_env=runtime_env(), **quiet)
            else:
                ray.init(**own, **quiet)
    except Exception as error:  # Ray raises that very class where its processes do not start
        raise UserError(_refused(address, error)) from error
    try:
        with _last_word(Head()):
            if address:
                wait_for([Need("the stage", {"CPU": 1.0})], wait_seconds, _tell)
                nodes.check()
            yield
    except ClusterLost:
        raise  # a farewell would wait for the head, 22 s: Ray takes it as this process ends
    except BaseException:
        ray.shutdown()
        raise
    ray.shutdown()


@contextmanager
def _last_word(head: Head) -> Iterator[None]:
    """Where the head dies while this process waits inside a call of Ray, which nothing can
    interrupt, it ends with a word before Ray ends it without one."""
    left = threading.Event()

    def watch() -> None:
        while not left.wait(_DIAL_S):
            try:
                head.check(_LAST_WORD_S)
            except ClusterLost as error:
                print(f"error: {error}", file=sys.stderr, flush=True)
                os._exit(2)

    threading.Thread(target=watch, name="head-watch", daemon=True).start()
    try:
        yield
    finally:
        left.set()


def _tell(line: str) -> None:
    print(line, flush=True)


def _refused(address: str | None, error: Exception) -> str:
    """Why Ray cannot be used, in one line."""
    import ray

    where = f"the Ray cluster at RAY_ADDRESS={address}" if address else "a local Ray"
    text = " ".join(str(error).split())
    if isinstance(error, ray.exceptions.AuthenticationError) or "InvalidAuthToken" in text:
        return (
            f"{where} asks for its token, and this environment has none or another one: put what "
            "`ray get-auth-token` prints on the head into RAY_AUTH_TOKEN or ~/.ray/auth_token"
        )
    if "Version mismatch" in text:
        return f"{where} runs other versions: {text}. Install the same here and there"
    if not address:
        return f"{where} did not start: {text}. Where the machine was only busy, run again"
    if "node's IP" in text or "raylet" in text:
        return (
            f"{where} has no node on this machine, which the driver needs. Start one "
            f"(`ray start --address={address} --num-cpus=0` takes no training), or give the whole "
            "run to the cluster with `sgan submit`"
        )
    return f"{where} cannot be used: {text}. Check it with `ray status`"


def _check_answers(address: str) -> None:
    """Raises UserError where nothing listens at the address: Ray would wait for it for ever."""
    if address in ("auto", "local"):
        return
    if address.startswith(("http://", "https://")):
        raise UserError(
            f"RAY_ADDRESS={address}: this is the dashboard's address, to which `sgan submit` "
            "gives a whole run; a driver needs host:port of the head, such as host:6379"
        )
    if address.startswith("ray://"):
        raise UserError(
            f"RAY_ADDRESS={address}: Ray Client does not serve here, since workers reach the "
            "driver's disk through a node on its own machine. Start one with `ray start "
            "--address=host:6379 --num-cpus=0` and set RAY_ADDRESS=host:6379, or use `sgan submit`"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(
            f"RAY_ADDRESS={address}: must be host:port of a cluster's head, or 'auto' for the one "
            "that was started on this machine; unset it to train on a local Ray"
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S) as answering:
            if _speaks(answering):
                return
    except OSError as error:
        raise UserError(
            f"the Ray cluster at RAY_ADDRESS={address} does not answer ({error}). Start it, or "
            "unset RAY_ADDRESS to train on a local Ray"
        ) from error
    raise UserError(
        f"what answers at RAY_ADDRESS={address} is no head of a Ray cluster: give host:port as "
        "`ray start --head` printed it (6379 if nothing was said), or unset RAY_ADDRESS to train "
        "on a local Ray"
    )


def _speaks(answering: socket.socket) -> bool:
    """Whether a server begins to talk as a head does (HTTP/2, for gRPC); asked by Ray, another one
    would be waited for, or taken for a head that wants a token. Any may where TLS comes first."""
    if os.environ.get("RAY_USE_TLS", "0").lower() not in ("", "0", "false"):
        return True
    answering.settimeout(_ANSWER_S)
    answering.sendall(_HTTP2)
    said = b""
    while len(said) < _FRAME and (more := answering.recv(_FRAME - len(said))):
        said += more
    return said[3:4] == _SETTINGS


@contextmanager
def _own_signal_handlers() -> Iterator[None]:
    """Puts the signal handlers back afterwards: Ray's end the process without a word to MLflow."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    if threading.current_thread() is threading.main_thread():
        for number, handler in before.items():
            signal.signal(number, handler)
