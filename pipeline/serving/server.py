"""The process that serves: its socket, its threads, its end."""

from __future__ import annotations

import logging
import os
import socket
import sys

from pipeline.errors import UserError
from pipeline.serving.app import application
from pipeline.serving.sources import Source
from pipeline.serving.switching import Switch

_LOCAL = ("127.0.0.1", "localhost", "::1")


def serve(source: Source, host: str, port: int, poll_s: float) -> None:
    """Serve until SIGINT or SIGTERM; requests under way are answered first.

    Args:
        source: of the weights.
        host: address to listen on.
        port: 0 for one that is free.
        poll_s: seconds between two looks for other weights.

    Raises:
        UserError: there are no weights, or the port is taken.
    """
    import uvicorn

    with _listening(host, port) as listener:
        switch = Switch(source)
        model, number = switch.model, listener.getsockname()[1]
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", force=True)
        shown = f"[{host}]" if ":" in host else host
        print(
            f"serving {model.address}, version {model.version}, on http://{shown}:{number}  "
            "(Ctrl-C stops it)",
            flush=True,
        )
        app = application(switch, _hosts(host), poll_s)
        config = uvicorn.Config(app, access_log=False, log_level="warning", server_header=False)
        uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises UserError."""
    if not 0 <= port < 65536:
        raise UserError(f"--port {port}: must be 0 to 65535")
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise UserError(f"--host {host}: {error.strerror}; 127.0.0.1 is this machine") from None
    listener = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix" and sys.platform != "cygwin":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise UserError(
            f"--host {host} --port {port}: {error.strerror}; give another, or --port 0 for any"
        ) from None
    return listener


def _hosts(host: str) -> tuple[str, ...]:
    """Names by which this server may be asked for."""
    return (*_LOCAL, "[::1]") if host in _LOCAL else ("*",)
