"""What is refused before a request is read, and what every answer says to a browser."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.serving.errors import shown
from pipeline.serving.metrics import Metrics

MOST_BYTES = 1_000_000
_PORT = re.compile(r":\d*$")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]


class Limits:
    """ASGI middleware: hosts; bodies of JSON and of `MOST_BYTES` at most; headers; what is counted.

    Args:
        app: the application.
        metrics: of the server.
        paths: the application's own, so that a client cannot make up names for counters.
        posts: those of them that take a body.
        hosts: names that a Host header may have; "*" for any.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        paths: frozenset[str],
        posts: frozenset[str],
        hosts: tuple[str, ...] = ("*",),
    ) -> None:
        self._app, self._metrics, self._paths, self._posts = app, metrics, paths, posts
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", []), *_HEADERS]}
            await send(message)

        try:
            refused = _refusal(scope, self._posts, self._hosts)
            if refused is not None:
                await _answer(sending, *refused)
            else:
                await self._app(scope, _counted(receive), sending)
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - began)


def _refusal(scope: Scope, posts: frozenset[str], hosts: tuple[str, ...]) -> tuple[int, str] | None:
    """Status and sentence for a request whose head says enough."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1")
    if "*" not in hosts and _PORT.sub("", host).lower() not in hosts:
        return 400, f"host {shown(host)}: this server answers to {', '.join(hosts)}"
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > MOST_BYTES:
        return 413, _too_large(f"{int(length):,}")
    if scope["method"] == "POST" and scope["path"] in posts:
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if kind != b"application/json":
            told = ascii(kind.decode("latin-1"))[:60] if kind else "none"
            return 415, f"content-type {told}: the body must be application/json"
    return None


def _too_large(found: str) -> str:
    return f"the body has {found} bytes; {MOST_BYTES:,} are allowed"


def _counted(receive: Receive) -> Receive:
    """`receive` that stops a body which is longer than its head said."""
    total = 0

    async def receiving() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MOST_BYTES:
            raise HTTPException(413, _too_large(f"at least {total:,}"))
        return message

    return receiving


async def _answer(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"error": sentence}).encode()
    headers: list[tuple[bytes, Any]] = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # the rest of the body is not read
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
