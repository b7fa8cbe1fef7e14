"""Limits before a request is read: the rest is shown over HTTP in test_app.py."""

import asyncio

import pytest

from pipeline.serving.limits import MOST_BYTES, Limits
from pipeline.serving.metrics import Metrics


def answered(headers, method="POST", path="/v1/samples", hosts=("*",)):
    """Status of a request by its head, and whether the application was asked."""
    sent, asked = [], []

    async def application(scope, receive, send):
        asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b""}

    metrics = Metrics(lambda: 0)
    own = frozenset({"/v1/samples"})
    limits = Limits(application, metrics, own, own, hosts)
    scope = {"type": "http", "method": method, "path": path, "headers": headers}
    asyncio.run(limits(scope, receive, send))
    assert dict(sent[0]["headers"])[b"x-content-type-options"] == b"nosniff"
    return sent[0]["status"], bool(asked), metrics.text().decode()


def test_a_length_is_believed_before_the_body_comes():
    json = (b"content-type", b"application/json; charset=utf-8")
    assert answered([json, (b"content-length", str(MOST_BYTES).encode())])[:2] == (200, True)
    assert answered([json, (b"content-length", str(MOST_BYTES + 1).encode())])[:2] == (413, False)


def test_only_json_is_read():
    assert answered([(b"content-type", b"text/plain")])[:2] == (415, False)
    assert answered([])[:2] == (415, False)
    assert answered([], method="GET")[:2] == (200, True)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"localhost", 200),
        (b"LOCALHOST:8000", 200),
        (b"[::1]:8000", 200),
        (b"[::1]", 200),
        (b"evil.test", 400),
        (b"evil.test:8000", 400),
        (b"localhost.evil.test", 400),
        (b"localhost:8000@evil.test", 400),
        (b"\xff", 400),
        (None, 400),
    ],
)
def test_only_names_of_its_own_are_answered(host, status):
    headers = [] if host is None else [(b"host", host)]
    hosts = ("localhost", "[::1]")
    assert answered(headers, method="GET", hosts=hosts)[:2] == (status, status == 200)
    assert answered(headers, method="GET")[0] == 200


def test_names_made_up_by_a_client_are_counted_as_one():
    text = answered([], method="GET", path="/made-up")[2]
    assert 'path="other"' in text
    assert "made-up" not in text
