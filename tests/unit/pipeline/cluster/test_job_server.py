"""Following a job over HTTP: a stream that ends early, a head that is away, a job that is lost.

The server is a real one that speaks the job server's protocol and can be told to misbehave, which
Ray's own cannot; a real cluster is in tests/integration/test_submit.py.
"""

import asyncio
import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.cluster import job_server
from pipeline.cluster.job_server import JobLost, JobServer, number_of
from pipeline.errors import UserError


class Head:
    """What a cluster's head answers.

    Attributes:
        jobs: status by submission id.
        log: the whole log.
        streams: what each connection to the log's stream gets before it ends, in turn.
        ends_after: streams after which the job has succeeded.
        refused: how many more requests to start a job, or about one, are answered with an error.
        excuse: what the error about a job says.
        submitted: the requests to start a job.
        packages: what was uploaded.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, str] = {}
        self.log, self.streams, self.ends_after = "", [""], 1
        self.refused, self.opened, self.excuse = 0, 0, ""
        self.submitted: list[dict[str, Any]] = []
        self.packages: dict[str, bytes] = {}
        self.address = ""

    def details(self, name: str) -> dict[str, Any]:
        """A job as the API shows it."""
        return {"type": "SUBMISSION", "submission_id": name, "status": self.jobs[name]} | {
            "entrypoint": "x",
            "driver_exit_code": 0,
        }

    async def handle(self, request: Any) -> Any:
        """Any request."""
        from aiohttp import web

        path, method = request.path, request.method
        if path == "/api/version":
            return web.json_response({"ray_version": "2.60.0", "version": "4"})
        if path.startswith("/api/packages"):
            if method == "PUT":
                self.packages[path] = await request.read()
            return web.Response(status=200 if path in self.packages else 404)
        if path == "/api/jobs/" and method == "GET":
            return web.json_response([self.details(name) for name in self.jobs])
        if path == "/api/jobs/":
            if self.refused:
                self.refused -= 1
                return web.Response(status=500, text="No available agent to submit job, later")
            asked = await request.json()
            self.submitted.append(asked)
            name = asked["submission_id"]
            if name in self.jobs:
                return web.Response(status=400, text=f"submission_id {name} already exists.")
            self.jobs[name] = "RUNNING"
            return web.json_response({"job_id": name, "submission_id": name})
        name = path.split("/")[3]
        if self.refused:
            self.refused -= 1
            return web.Response(status=503, text=self.excuse)
        if name not in self.jobs:
            return web.Response(status=404)
        if path.endswith("/logs"):
            return web.json_response({"logs": self.log})
        if path.endswith("/tail"):
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.send_str(self.streams[min(self.opened, len(self.streams) - 1)])
            self.opened += 1
            if self.opened >= self.ends_after:
                self.jobs[name] = "SUCCEEDED"
            return socket
        return web.json_response(self.details(name))


@pytest.fixture
def head() -> Iterator[Head]:
    """A server on a port of its own."""
    from aiohttp import web

    state, loop = Head(), asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", state.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        state.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    runner = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield state
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_server, "_POLL_S", 0.02)


def test_a_log_whose_stream_ends_while_the_job_runs_is_whole(head: Head) -> None:
    head.jobs["a"] = "RUNNING"
    head.log = "one\ntwo\nthree\nfour\n"
    head.streams, head.ends_after = ["one\nt", "one\n", "one\ntwo\nthree\n"], 3
    written: list[str] = []
    ended = JobServer(head.address).follow("a", written.append)
    assert str(ended.status) == "SUCCEEDED"
    assert "".join(written) == head.log
    assert head.opened >= 3


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """SIGINT interrupts, also where this process was begun in the background and ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_after_ctrl_c_a_log_goes_on_where_it_was(head: Head) -> None:
    head.jobs["a"], head.log = "RUNNING", "one\ntwo\n"
    head.streams, head.ends_after = ["one\n", head.log], 2
    written: list[str] = []

    def interrupted(text: str) -> None:
        written.append(text)
        signal.raise_signal(signal.SIGINT)

    server = JobServer(head.address)
    with pytest.raises(KeyboardInterrupt):
        server.follow("a", interrupted)
    server.follow("a", written.append)
    assert "".join(written) == head.log


def test_a_job_that_a_new_head_starts_under_its_old_id_is_shown_from_its_beginning(
    head: Head, tmp_path: Path
) -> None:
    server, written = JobServer(head.address), []
    (tmp_path / "x.zip").write_bytes(b"zip")
    for log in ("what the lost one said\n", "new\n"):
        head.jobs.clear()
        head.log, head.streams, head.opened = log, [log], 0
        assert server.submit("a", "true", tmp_path / "x.zip", {}, {}) == "a"
        server.follow("a", written.append)
    assert "".join(written) == "what the lost one said\nnew\n"


def test_a_head_that_is_away_for_a_while_is_waited_for(head: Head) -> None:
    head.jobs["a"], head.refused, head.ends_after = "RUNNING", 6, 2
    head.excuse = "the agent at 10.0.40.4:4044 is not there"
    assert str(JobServer(head.address).follow("a", lambda _: None).status) == "SUCCEEDED"


def test_a_head_that_stays_away_is_one_line(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    server = JobServer(head.address)
    monkeypatch.setattr(job_server, "_AWAY_S", 0.1)
    server.client._address = "http://127.0.0.1:1"
    with pytest.raises(UserError, match=r"has not answered for 0 s .* submit the same again"):
        server.follow("a", lambda _: None)


def test_a_job_that_the_head_does_not_know_is_lost(head: Head) -> None:
    with pytest.raises(JobLost):
        JobServer(head.address).follow("a", lambda _: None)


def test_attempts_are_numbered_and_the_newest_is_found(head: Head, tmp_path: Path) -> None:
    server = JobServer(head.address)
    package = tmp_path / "x.zip"
    package.write_bytes(b"zip")
    assert server.newest("a") is None
    head.refused = 2  # it has just started
    names = [server.submit("a", "true", package, {"V": "1"}, {"m": "n"}) for _ in range(3)]
    head.jobs["ab"] = "RUNNING"
    assert names == ["a", "a-2", "a-3"]
    assert server.newest("a").submission_id == "a-3"
    asked = head.submitted[0]
    assert asked["runtime_env"]["env_vars"] == {"V": "1"}
    assert json.dumps(asked).count("zip") == 1  # the package goes by its digest


def test_who_submits_the_same_a_moment_later_gets_the_first_ones_job(
    head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = JobServer(head.address)
    package = tmp_path / "x.zip"
    package.write_bytes(b"zip")
    head.jobs["a"] = "RUNNING"
    monkeypatch.setattr(server, "newest", lambda name: None)
    assert server.submit("a", "true", package, {}, {}) == "a"


def test_an_address_where_nobody_answers_is_one_line() -> None:
    with pytest.raises(
        UserError, match=r"no Ray job server answers at http://127\.0\.0\.1:1"
    ) as told:
        JobServer("http://127.0.0.1:1")
    assert "--dashboard-host=ITS_ADDRESS`" in str(told.value)  # else it listens on the head alone


@pytest.mark.parametrize(
    ("submission", "number"), [("a", 1), ("a-2", 2), ("a-12", 12), ("ab", 0), ("a-b", 0), ("", 0)]
)
def test_the_number_of_an_attempt(submission: str, number: int) -> None:
    assert number_of("a", submission) == number


def test_what_answers_and_is_no_job_server_is_called_so(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a" * 32)
    address = serve(tmp_path).rstrip("/")
    with pytest.raises(UserError, match=rf"^what answers at {address} is no Ray job server"):
        JobServer(address)


def test_a_proxy_between_here_and_the_job_server_is_named(no_proxies: pytest.MonkeyPatch) -> None:
    no_proxies.setenv("RAY_AUTH_TOKEN", "a" * 32)
    no_proxies.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"no Ray job server answers .* HTTP_PROXY=http://127"):
        JobServer("http://ray.example:8265")
